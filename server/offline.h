// SPDX-License-Identifier: Apache-2.0
// A store opened by a tool that changes it: repair and restore. Changes are made to the recovered
// state in memory and brought to the disk by checkpoints through the journal, so that a crash
// leaves the state of the last whole checkpoint; or straight home, by who begins anew after a crash
// and has nothing to lose: that costs no journal, which may be too small to be of use. From opening
// to finish() the superblocks say `repairing`: one checkpoint alone may be half of the work, and no
// server takes such a store.
// Threading: the devices' thread; everything blocks.
// Ownership: the devices are the caller's and outlive it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "server/committer.h"
#include "server/recovery.h"
#include "store/device.h"
#include "store/status.h"

namespace csnap {

// Writes what is dirty home, without a journal, and flushes. A crash leaves a part of it. Blocks.
Status write_homes(StoreState& state, Device& metadata);

class OfflineStore {
 public:
  enum class Through { journal, homes };

  // Recovers the store as a server would. through: how changes come to the disk.
  static Result<std::unique_ptr<OfflineStore>> open(Device& store, Device* metadata,
                                                    std::size_t cache_bytes,
                                                    const std::string& holder,
                                                    Through through = Through::journal);
  // Takes what a recovery of the caller's own found.
  static Result<std::unique_ptr<OfflineStore>> adopt(Device& store, Device* metadata,
                                                     Recovered recovered, const std::string& holder,
                                                     Through through = Through::journal);
  ~OfflineStore();  // without finish(): the store says `repairing` until somebody comes back to it

  StoreState& state() { return *recovered_.state; }
  // Runs edit until it is not need_block any more, reading the blocks it asks for; then makes a
  // checkpoint if much has become dirty. REQUIRES: one edit makes at most kEditBlocks blocks dirty
  // (inserting or clearing a run of up to 256 chunks does).
  static constexpr std::uint64_t kEditBlocks = 32;
  template <class Edit>
  Status edit(Edit&& edit) {
    CSNAP_TRY(state().with_blocks(edit));
    return checkpoint_if_due();
  }
  Status checkpoint();
  // Checkpoints, takes `repairing` off, marks the store clean.
  Status finish();

 private:
  OfflineStore(Device& store, Device& metadata, Recovered recovered);
  Status checkpoint_if_due();
  Status take_without_journal(const std::string& holder);
  Status begin_journal(const std::string& holder);

  Device& store_;
  Device& metadata_;
  Recovered recovered_;
  std::string holder_;
  std::unique_ptr<Journal> journal_;  // null, as the committer: changes go straight home
  std::unique_ptr<Committer> committer_;
};

}  // namespace csnap
