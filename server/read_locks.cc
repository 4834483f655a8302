// SPDX-License-Identifier: Apache-2.0
#include "server/read_locks.h"

#include <algorithm>
#include <cassert>
#include <set>

namespace csnap {
namespace {

constexpr unsigned kGranuleShift = 6;

template <class F>
void each_granule(ChunkRun run, F&& visit) {
  const std::uint64_t last = (run.end().value - 1) >> kGranuleShift;
  for (std::uint64_t g = run.start.value >> kGranuleShift; g <= last; ++g) visit(g);
}

}  // namespace

void ReadLocks::lock(Owner owner, ChunkRun run) {
  assert(run.count > 0);
  owners_[owner].runs.push_back(run);
  each_granule(run, [&](std::uint64_t g) { granules_[g].emplace_back(owner, run); });
}

std::vector<std::function<void()>> ReadLocks::unlock(Owner owner) {
  std::vector<std::function<void()>> ready;
  const auto found = owners_.find(owner);
  if (found == owners_.end()) return ready;
  for (const auto& run : found->second.runs) {
    each_granule(run, [&](std::uint64_t g) {
      const auto granule = granules_.find(g);
      if (granule == granules_.end()) return;
      auto& held = granule->second;
      std::erase_if(held, [&](const auto& entry) { return entry.first == owner; });
      if (held.empty()) granules_.erase(granule);
    });
  }
  for (const auto id : found->second.waiters) {
    const auto waiter = waiters_.find(id);
    assert(waiter != waiters_.end());
    if (--waiter->second.owners_left > 0) continue;
    ready.push_back(std::move(waiter->second.resume));
    waiters_.erase(waiter);
  }
  owners_.erase(found);
  return ready;
}

std::vector<std::function<void()>> ReadLocks::unlock_client(std::uint64_t client) {
  std::vector<std::function<void()>> ready;
  for (;;) {
    const auto next = owners_.lower_bound({client, 0});
    if (next == owners_.end() || next->first.first != client) return ready;
    auto more = unlock(next->first);
    std::move(more.begin(), more.end(), std::back_inserter(ready));
  }
}

template <class F>
void ReadLocks::each_overlapping_owner(std::span<const ChunkRun> runs, F&& visit) const {
  for (const auto& run : runs) {
    const std::uint64_t last = (run.end().value - 1) >> kGranuleShift;
    for (std::uint64_t g = run.start.value >> kGranuleShift; g <= last; ++g) {
      const auto granule = granules_.find(g);
      if (granule == granules_.end()) continue;
      for (const auto& [owner, held] : granule->second)
        if (held.overlaps(run) && !visit(owner)) return;
    }
  }
}

bool ReadLocks::overlaps(std::span<const ChunkRun> runs) const {
  if (owners_.empty()) return false;
  bool found = false;
  each_overlapping_owner(runs, [&](const Owner&) {
    found = true;
    return false;
  });
  return found;
}

void ReadLocks::wait(std::span<const ChunkRun> runs, std::function<void()> resume) {
  std::set<Owner> holders;
  each_overlapping_owner(runs, [&](const Owner& owner) {
    holders.insert(owner);
    return true;
  });
  assert(!holders.empty());
  const std::uint64_t id = next_waiter_++;
  for (const auto& owner : holders) owners_[owner].waiters.push_back(id);
  waiters_[id] = {holders.size(), std::move(resume)};
}

std::vector<ReadLocks::Held> ReadLocks::all() const {
  std::vector<Held> held;
  for (const auto& [owner, state] : owners_)
    for (const auto& run : state.runs) held.push_back({owner, run, state.waiters.size()});
  return held;
}

}  // namespace csnap
