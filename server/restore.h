// SPDX-License-Identifier: Apache-2.0
// Makes the metadata of a store anew from a dump. The chunks with data stay where they are and are
// neither read nor written; blocks for the tree are taken from between them.
//
// The whole dump is read and judged before anything is written. Then the superblocks go, the fixed
// areas are made anew with superblocks that say `repairing`, and the content is written straight to
// its homes. A crash on the way leaves no store, or one that says `repairing` and that no server
// takes; it is restored again then.
// Threading: the devices' thread; blocks. Nobody else uses the store.
// Memory: a bit for each chunk of the store, and the cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "server/dump_reader.h"
#include "store/device.h"
#include "store/status.h"

namespace csnap {

struct RestoreOptions {
  std::size_t cache_bytes = 64u << 20;
  std::uint64_t wall_ns = 0;  // since 1970: no two restores of a dump give the same ids
  std::string holder;         // for the superblock: "csnap-restore, pid 7 on host.example"
  // What is being done ("reading", "bitmaps", "tree"), and how far that is.
  std::function<void(const char* what, std::uint64_t done, std::uint64_t total)> progress;
};

struct Restored {
  Superblock superblock;
  DumpTotals totals;
};

// metadata: null when it is on the store device.
// corrupt, with a line's number, or no_space: the dump does not fit the devices, or itself; nothing
// was written.
Result<Restored> restore_store(Device& store, Device* metadata, DumpInput& input,
                               const RestoreOptions& options);

// Only judges: what restore_store() would refuse before it writes.
Status check_dump(Device& store, Device* metadata, DumpInput& input);

}  // namespace csnap
