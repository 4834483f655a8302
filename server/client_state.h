// SPDX-License-Identifier: Apache-2.0
// What the engine knows of an open session.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_set>
#include <vector>

#include "server/engine.h"
#include "server/quarantine.h"
#include "store/tables.h"

namespace csnap {

class Op;

// A run of free chunks set aside for a client's overwrites, handed out from the front.
struct PoolSlot {
  StoreRun run;
  std::uint64_t handed_out = 0;
  std::uint64_t outstanding = 0;  // handed out and not finished
  bool inherited = false;         // from before a restart: nothing of it is handed out any more
  bool spent() const { return handed_out == run.count && outstanding == 0; }
};

struct ClientState {
  ClientKey key = 0;
  Uuid id;
  SnapshotId volume;
  Engine::Access access = Engine::Access::write;
  bool settled = true;   // false: resumed after a restart, and still telling what it holds
  bool evicted = false;  // its volume is gone and it has said that it is done with it
  std::map<ReadId, Quarantine::Ticket> reads;
  std::unordered_set<std::shared_ptr<Op>> ops;

  bool copies_offered = false;  // and asked for: see ClientCopies::give_up_on()
  unsigned copies_failed = 0;   // in a row
  std::set<CopyId> copies;      // told and not ended

  std::array<PoolSlot, kMaxPools> pools;
  std::uint64_t next_pool_size = 16;  // chunks; doubles with use
  bool pool_growing = false;
  std::vector<std::function<void()>> pool_waiters;
};

}  // namespace csnap
