// SPDX-License-Identifier: Apache-2.0
// From the devices of a store, as a crash or an orderly end left them, to the state of the last
// commit that was whole. Nothing is written: what was replayed is dirty in the cache and goes home
// with the next checkpoint. Recovering twice gives the same.
//
// A commit was written together with the copies its records speak of, and one flush covered both.
// So the last commit in the journal may be whole while the data is not: its checksums tell, and
// then the commit counts as never made (nobody was told of it).
#pragma once

#include <memory>
#include <vector>

#include "journal/journal.h"
#include "server/store_state.h"
#include "store/device.h"

namespace csnap {

struct Recovered {
  Superblock on_disk;  // as read, before replay
  std::unique_ptr<StoreState> state;
  JournalPosition head;         // where the next commit goes
  std::vector<StoreRun> freed;  // by the replayed commits; still held
  std::uint64_t commits = 0;    // replayed
  std::uint64_t records = 0;
};

// Blocks. corrupt when a record contradicts the state it meets; io_error.
Result<Recovered> recover(Device& store, Device& metadata, std::size_t cache_bytes);

}  // namespace csnap
