// SPDX-License-Identifier: Apache-2.0
// Chunks set aside for a client's overwrites and copies. What is set aside is in the store's client
// table: after a crash a client may still be writing there, and nobody else must get those chunks
// before it is back or its lease is over.
#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "server/engine_impl.h"

namespace csnap {
namespace {

constexpr std::uint64_t kMaxPoolChunks = 1024;
constexpr std::uint64_t kLeaveForOthers = 128;  // blocks; a pool is a convenience, a copy is not

}  // namespace

StoreRun Engine::Impl::take_from_pool(ClientState& c, std::uint64_t wanted) {
  for (auto& slot : c.pools) {
    if (slot.inherited || slot.handed_out == slot.run.count) continue;
    const std::uint64_t count = std::min(wanted, slot.run.count - slot.handed_out);
    const StoreRun run{slot.run.start + slot.handed_out, count};
    slot.handed_out += count;
    slot.outstanding += count;
    return run;
  }
  return {};
}

bool Engine::Impl::in_pool(const ClientState& c, StoreRun run) const {
  return std::any_of(c.pools.begin(), c.pools.end(), [&](const PoolSlot& slot) {
    return !slot.inherited && run.count > 0 && run.start >= slot.run.start &&
           run.end() <= slot.run.start + slot.handed_out;
  });
}

void Engine::Impl::finish_in_pool(ClientState& c, StoreRun run) {
  for (auto& slot : c.pools) {
    if (slot.inherited || !slot.run.contains(run.start)) continue;
    // A client that names a place twice must not take the count below what is out.
    slot.outstanding -= std::min(slot.outstanding, run.count);
  }
  later(std::exchange(c.pool_waiters, {}));
}

Status Engine::Impl::grow_pool(ClientState& c, std::function<void()> resume,
                               std::uint64_t at_once) {
  if (!committer->failure().ok()) return committer->failure();
  if (c.pool_growing) {
    c.pool_waiters.push_back(std::move(resume));
    return {};
  }
  const auto slot =
      std::find_if(c.pools.begin(), c.pools.end(), [](const PoolSlot& s) { return s.spent(); });
  if (slot == c.pools.end())
    return Status(Code::unavailable, "all of the client's pools are in use");
  const std::uint64_t size = std::min(std::max(c.next_pool_size, at_once), kMaxPoolChunks);
  Result<StoreRun> run = state->data().reserve_chunks(size, kLeaveForOthers);
  if (run.status().code() == Code::no_space && has_released()) {
    unhold_freed(std::numeric_limits<std::size_t>::max());
    run = state->data().reserve_chunks(size, kLeaveForOthers);
  }
  if (!run.ok()) return run.status();
  c.next_pool_size = std::min(2 * size, kMaxPoolChunks);
  c.pool_growing = true;
  c.pool_waiters.push_back(std::move(resume));
  const auto index = static_cast<std::size_t>(slot - c.pools.begin());
  ++changes;
  commit(ClientPool{c.id, static_cast<std::uint8_t>(index), *run},
         [this, key = c.key, index, run = *run](const Status& status) {
           --changes;
           pool_grown(key, index, run, status);
         });
  return {};
}

void Engine::Impl::pool_grown(ClientKey key, std::size_t slot, StoreRun run, const Status& status) {
  state->data().unreserve(run);  // the table holds it now
  ClientState* c = client(key);
  if (!c) return;
  c->pool_growing = false;
  if (status.ok()) c->pools[slot] = {run, 0, 0, false};
  later(std::exchange(c->pool_waiters, {}));
}

bool Engine::Impl::reclaim_pools() {
  bool any = false;
  for (auto& [key, c] : clients) {
    if (c.pool_growing) continue;
    for (std::size_t i = 0; i < c.pools.size(); ++i) {
      PoolSlot& slot = c.pools[i];
      if (slot.inherited || slot.run.count == 0) continue;
      const std::uint64_t keep = slot.spent() ? 0 : slot.handed_out;
      if (keep == slot.run.count) continue;
      slot.run.count = keep;
      if (keep == 0) slot = {};
      c.next_pool_size = 1;
      any = true;
      ++changes;
      commit(ClientPool{c.id, static_cast<std::uint8_t>(i), {slot.run.start, keep}},
             [this](const Status&) { --changes; });
    }
  }
  return any;
}

}  // namespace csnap
