// SPDX-License-Identifier: Apache-2.0
// What lies where on a store that nobody has open: exceptions, blocks of the tree, and what layout
// and bitmaps say of the rest. What a crash left in the journal is replayed in memory; nothing is
// written.
// Threading: the devices' thread; blocks. Nobody else may be changing the store.
// Memory: the cache, what the journal holds, a set of the tree's nodes.
// Errors: those of recover_to_read(). Damage of the tree is told by scan(); nothing of what lies
// below is.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/recovery.h"
#include "server/tree_scan.h"
#include "store/device.h"
#include "store/store_use.h"

namespace csnap {

class StoreMap {
 public:
  // metadata: null when it is on the store device. has_data: false for an image without data.
  static Result<StoreMap> open(Device& store, Device* metadata, bool has_data);

  const Superblock& superblock() const { return std::as_const(*recovered_.state).superblock(); }
  const std::vector<Snapshot>& snapshots() const {
    return std::as_const(*recovered_.state).snapshots().all();
  }
  // Every leaf and node once, in any order.
  void scan(TreeVisitor& visitor);
  // What the block is used for, and those after it that are used alike; at most up to the end of
  // the store, and not always all of them. REQUIRES: it lies within the store's chunks.
  Result<StoreArea> area_at(std::uint64_t block);

 private:
  StoreMap(Device& metadata, Recovered recovered);
  Result<StoreUse> use_of(StoreChunk chunk);

  Device* metadata_;
  Recovered recovered_;
  std::vector<StoreArea> fixed_;
  std::vector<StoreRun> pools_;  // ascending
};

}  // namespace csnap
