// SPDX-License-Identifier: Apache-2.0
#include "server/deleter.h"

#include <algorithm>

#include "server/engine_impl.h"

namespace csnap {
namespace {

constexpr std::uint64_t kStepsInFlight = 32;
constexpr int kStepsPerTurn = 4;  // a leaf each: some tens of microseconds

}  // namespace

const Snapshot* Deleter::next() const {
  for (const auto& snapshot : engine_.state->snapshots().all()) {
    if (!snapshot.deleting || (engine_.undead & mask_of_bit(snapshot.bit))) continue;
    if (!engine_.open_on(snapshot.id) && !engine_.unsettled_on(snapshot.id)) return &snapshot;
  }
  return nullptr;
}

bool Deleter::idle() const {
  return in_flight_ == 0 && !finishing_ && !waiting_for_block_ && (stuck_ || !next());
}

void Deleter::step() {
  if (stuck_ || finishing_ || waiting_for_block_ || engine_.stopping) return;
  if (!engine_.committer->failure().ok()) return;
  const Snapshot* snapshot = next();
  if (!snapshot) return;
  if (working_on_ != snapshot->id) {
    // Steps of another one end first, so that what is in flight is always of one snapshot.
    if (in_flight_ > 0) return;
    working_on_ = snapshot->id;
    asked_up_to_ = snapshot->deleted_up_to;
  }
  for (int i = 0; i < kStepsPerTurn; ++i)
    if (!step_one(*snapshot)) return;
}

// What could not be cleared must not be taken for cleared: the bit stays in use.
void Deleter::stop(const Status& why) {
  if (stuck_) return;
  stuck_ = true;
  engine_.log(EngineEvents::Level::error,
              "the space of a deleted snapshot cannot be reclaimed: " + why.to_string());
}

bool Deleter::step_one(const Snapshot& snapshot) {
  if (in_flight_ >= kStepsInFlight) return false;
  if (engine_.committer->queued() > 2 * kStepsInFlight) return false;
  if (!engine_.committer->has_room_to_spare()) return false;
  if (engine_.holds_too_much()) return false;
  // The last leaf's range goes on for ever; that of its step ends with the volume.
  const Chunk volume_end(engine_.state->superblock().origin_chunks());
  Result<std::optional<ChunkRun>> leaf = std::optional<ChunkRun>();
  if (asked_up_to_ < volume_end)
    leaf = engine_.state->tree().next_leaf_with(mask_of_bit(snapshot.bit), asked_up_to_);
  if (!leaf.ok()) {
    if (leaf.status().code() != Code::need_block) {
      stop(leaf.status());
      return false;
    }
    waiting_for_block_ = true;
    const BlockAddress address(leaf.status().detail());
    engine_.state->cache().fetch(address, [this](const Status& s) {
      waiting_for_block_ = false;
      if (!s.ok()) stop(s);
    });
    return !waiting_for_block_ && !stuck_;
  }
  const SnapshotId id = snapshot.id;
  if (!*leaf) {
    if (in_flight_ > 0) return false;
    finishing_ = true;
    engine_.commit(DeletionFinished{id}, [this](const Status&) { finishing_ = false; });
    return false;
  }
  ChunkRun run = **leaf;
  run.count = std::min(run.end(), volume_end) - run.start;
  asked_up_to_ = run.end();
  ++in_flight_;
  engine_.committer->add({[this, id, run](std::vector<Record>& records) -> Status {
                            // Its predecessor failed: to go on would be to say that what that one
                            // left is cleared, and who gets the bit next would read it.
                            if (stuck_) return Status(Code::cancelled, "the step before it failed");
                            records.push_back(DeletionProgress{id, run});
                            return {};
                          },
                          [this](const Status& s) {
                            --in_flight_;
                            if (!s.ok()) stop(s);
                          }});
  return true;
}

}  // namespace csnap
