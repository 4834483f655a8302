// SPDX-License-Identifier: Apache-2.0
// Read locks, busy chunks and the quarantine against naive twins.
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "server/busy_chunks.h"
#include "server/quarantine.h"
#include "server/read_locks.h"

namespace csnap {

TEST_CASE("Read locks behave as a plain list of runs does") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 31));
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  ReadLocks locks;
  std::map<ReadLocks::Owner, std::vector<ChunkRun>> twin;
  struct Waiter {
    std::set<ReadLocks::Owner> holders;
    bool resumed = false;
  };
  std::map<int, Waiter> waiters;
  int next_waiter = 0;
  const auto any_run = [&] { return ChunkRun{Chunk(rng() % 400), 1 + rng() % 150}; };
  const auto holders_of = [&](const ChunkRun& run) {
    std::set<ReadLocks::Owner> holders;
    for (const auto& [owner, runs] : twin)
      for (const auto& held : runs)
        if (held.overlaps(run)) holders.insert(owner);
    return holders;
  };
  const auto gone = [&](const ReadLocks::Owner& owner, std::vector<std::function<void()>> ready) {
    for (auto& resume : ready) resume();
    twin.erase(owner);
    for (auto& [number, waiter] : waiters) {
      waiter.holders.erase(owner);
      REQUIRE(waiter.resumed == waiter.holders.empty());
    }
  };
  for (int i = 0; i < 600; ++i) {
    const ReadLocks::Owner owner{1 + rng() % 3, 1 + rng() % 8};
    const ChunkRun run = any_run();
    switch (rng() % 4) {
      case 0:
        locks.lock(owner, run);
        twin[owner].push_back(run);
        break;
      case 1:
        gone(owner, locks.unlock(owner));
        break;
      case 2:
        if (!holders_of(run).empty()) {
          Waiter& waiter = waiters[next_waiter++];
          waiter.holders = holders_of(run);
          locks.wait(std::span(&run, 1), [&waiter] { waiter.resumed = true; });
        }
        break;
      default:
        REQUIRE(locks.overlaps(std::span(&run, 1)) == !holders_of(run).empty());
    }
  }
  for (std::uint64_t client = 1; client <= 3; ++client) {
    auto ready = locks.unlock_client(client);
    for (auto& resume : ready) resume();
  }
  REQUIRE(locks.empty());
  for (const auto& [number, waiter] : waiters) REQUIRE(waiter.resumed);
}

TEST_CASE("Busy chunks behave as a set of chunks does") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 31));
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  BusyChunks busy;
  std::vector<ChunkRun> twin;
  int waiting = 0, resumed = 0;
  for (int i = 0; i < 500; ++i) {
    const ChunkRun run{Chunk(rng() % 200), 1 + rng() % 20};
    std::optional<ChunkRun> first;
    for (const auto& held : twin)
      if (held.overlaps(run) && (!first || held.start < first->start)) first = held;
    REQUIRE(busy.find(run) == first);
    if (!first) {
      busy.acquire(run);
      twin.push_back(run);
    } else if (rng() % 2 == 0) {
      busy.wait(*first, [&] { ++resumed; });
      ++waiting;
    } else {
      for (auto& resume : busy.release(*first)) resume();
      std::erase(twin, *first);
    }
  }
  for (const auto& held : twin)
    for (auto& resume : busy.release(held)) resume();
  REQUIRE(busy.empty());
  REQUIRE(resumed == waiting);
}

TEST_CASE("A freed chunk leaves the quarantine when every read that began before has ended") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 31));
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  Quarantine quarantine;
  std::map<int, Quarantine::Ticket> reads;
  std::map<std::uint64_t, std::set<int>> held;  // chunk -> reads that keep it
  int next_read = 0;
  std::uint64_t next_chunk = 1;
  for (int i = 0; i < 500; ++i) {
    switch (rng() % 3) {
      case 0:
        reads[next_read++] = quarantine.begin_read();
        break;
      case 1:
        if (!reads.empty()) {
          auto it = reads.begin();
          std::advance(it, rng() % reads.size());
          quarantine.end_read(it->second);
          for (auto& [chunk, keepers] : held) keepers.erase(it->first);
          reads.erase(it);
        }
        break;
      default:
        auto& keepers = held[next_chunk];
        for (const auto& [read, ticket] : reads) keepers.insert(read);
        quarantine.add({{StoreChunk(next_chunk++), 1}}, 0);
    }
    for (const auto& run : quarantine.take(0)) {
      REQUIRE(held.at(run.start.value).empty());
      held.erase(run.start.value);
    }
    for (const auto& [chunk, keepers] : held) REQUIRE_FALSE(keepers.empty());
  }
}

TEST_CASE("Freed chunks wait for the checkpoint that holds the state without them") {
  Quarantine quarantine;
  quarantine.add({{StoreChunk(7), 1}}, 1);
  quarantine.add({{StoreChunk(8), 2}}, 2);
  CHECK(quarantine.take(0).empty());
  CHECK(quarantine.waits_for_more_than(0));
  CHECK(quarantine.take(1) == std::vector<StoreRun>{{StoreChunk(7), 1}});
  CHECK(quarantine.waits_for_more_than(1));
  CHECK_FALSE(quarantine.waits_for_more_than(2));
  CHECK(quarantine.take(2) == std::vector<StoreRun>{{StoreChunk(8), 2}});
}

TEST_CASE("Freed chunks can be let go in portions, none of them twice") {
  Quarantine quarantine;
  quarantine.add({{StoreChunk(1), 1}, {StoreChunk(3), 1}, {StoreChunk(5), 1}}, 1);
  quarantine.add({{StoreChunk(7), 1}}, 1);
  std::multiset<std::uint64_t> taken;
  while (quarantine.has(1)) {
    const auto portion = quarantine.take(1, 2);
    REQUIRE_FALSE(portion.empty());
    REQUIRE(portion.size() <= 2);
    for (const auto& run : portion) taken.insert(run.start.value);
  }
  CHECK(taken == std::multiset<std::uint64_t>{1, 3, 5, 7});
}

}  // namespace csnap
