// SPDX-License-Identifier: Apache-2.0
// Takes the bits of deleted snapshots out of the tree, a leaf at a time, in between what clients
// ask for. Progress is in the journal: after a restart it goes on where it was. It begins once no
// client can still be using the snapshot. Threading: the engine's thread.
#pragma once

#include <cstdint>

#include "server/engine.h"

namespace csnap {

class Deleter {
 public:
  explicit Deleter(Engine::Impl& engine) : engine_(engine) {}
  // Does a little, if there is anything to do. Once a turn.
  void step();
  // Nothing it could do or is doing now.
  bool idle() const;
  // Waits until some of what was freed is let go.
  bool held_back() const { return held_back_; }

 private:
  bool step_one(const Snapshot& snapshot);
  void stop(const Status& why);
  const Snapshot* next() const;

  Engine::Impl& engine_;
  std::uint64_t in_flight_ = 0;  // steps added and not durable
  bool waiting_for_block_ = false;
  bool held_back_ = false;
  bool finishing_ = false;  // its last record is on its way
  bool stuck_ = false;      // a block could not be read: the rest must wait for a repair
  SnapshotId working_on_;
  Chunk asked_up_to_;  // steps up to here have been added
};

}  // namespace csnap
