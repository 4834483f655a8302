// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "store/address_table.h"
#include "test/store/cache_fixture.h"

using namespace csnap;
using namespace csnap::test;

TEST_CASE("the address table equals a map under random events") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  AddressTable table;
  std::map<std::uint64_t, std::uint32_t> twin;
  for (int i = 0; i < 60000; ++i) {
    const std::uint64_t address = rng() % 3000 * (rng() % 4 == 0 ? 1ULL << 40 : 1);
    if (twin.contains(address) && rng() % 2 == 0) {
      table.erase(BlockAddress{address});
      twin.erase(address);
    } else if (!twin.contains(address)) {
      table.insert(BlockAddress{address}, static_cast<std::uint32_t>(i));
      twin[address] = static_cast<std::uint32_t>(i);
    }
    if (i % 1000 != 0) continue;
    for (const auto& [key, slot] : twin) REQUIRE(table.find(BlockAddress{key}) == slot);
    REQUIRE(table.find(BlockAddress{999999}) == AddressTable::kNone);
  }
  REQUIRE(table.size() == twin.size());
  for (std::uint64_t a = 0; a < 3000; ++a)
    REQUIRE((table.find(BlockAddress{a}) != AddressTable::kNone) == twin.contains(a));
}

namespace {

// What the cache should hold, kept the naive way.
struct Twin : CacheFixture {
  static constexpr std::uint64_t kAddresses = 160;
  std::mt19937_64 rng;
  std::map<BlockAddress, std::uint64_t> live;    // content as of now, of blocks in use
  std::map<BlockAddress, std::uint64_t> frozen;  // content at the freeze
  std::set<BlockAddress> dirty;
  std::set<BlockAddress> home_written;
  std::uint64_t next_number = 1;
  std::uint64_t sequence = 1;

  explicit Twin(std::uint64_t seed) : rng(seed) {}

  BlockAddress any() { return BlockAddress{rng() % kAddresses}; }

  void step() {
    const BlockAddress address = any();
    const bool in_use = live.contains(address);
    switch (rng() % 16) {
      case 0:
      case 1:
      case 2:
        if (in_use) look(address);
        break;
      case 3:
      case 4:
      case 5:
        if (in_use) change(address);
        break;
      case 6:
        live[address] = next_number;
        dirty.insert(address);
        put_number(cache.create(address, BlockKind::leaf), next_number++);
        break;
      case 7:
        if (rng() % 3 == 0) drop(address);
        break;
      case 8:
        if (rng() % 8 == 0) install(address);
        break;
      case 9:
        cache.trim();
        break;
      case 10:
      case 11:
        if (in_use || rng() % 4 == 0) cache.fetch(address, [](Status) {});
        break;
      case 12:
        device.poll();
        break;
      default:
        checkpoint_step();
    }
    REQUIRE(cache.dirty() == dirty.size());
    REQUIRE(cache.frozen() == !frozen.empty());
  }

  void bring(BlockAddress address) {
    const auto block = cache.read(address, BlockKind::leaf);
    if (block.ok()) return;
    REQUIRE(block.status().code() == Code::need_block);
    REQUIRE(block.status().detail() == address.value);
    REQUIRE_FALSE(dirty.contains(address));
    REQUIRE_FALSE(frozen.contains(address));
    REQUIRE(cache.fetch_sync(address).ok());
  }
  void look(BlockAddress address) {
    bring(address);
    REQUIRE(number(address) == live.at(address));
  }
  void change(BlockAddress address) {
    bring(address);
    const auto block = cache.edit(address, BlockKind::leaf);
    REQUIRE(block.ok());
    REQUIRE(number_in(*block) == live.at(address));
    live[address] = next_number;
    dirty.insert(address);
    put_number(*block, next_number++);
  }
  void drop(BlockAddress address) {
    cache.forget(address);
    live.erase(address);
    dirty.erase(address);
  }
  void install(BlockAddress address) {
    std::vector<std::byte> image(kBlockSize);
    put_number(image, next_number);
    seal_block(image, BlockKind::leaf, address, kStore, Sequence{sequence});
    cache.install(address, image);
    live[address] = next_number++;
    dirty.insert(address);
  }
  void checkpoint_step() {
    if (frozen.empty()) {
      if (dirty.empty() || rng() % 8 != 0) return;
      for (const auto address : dirty) frozen[address] = live.at(address);
      REQUIRE(cache.freeze(Sequence{++sequence}) ==
              std::vector<BlockAddress>(dirty.begin(), dirty.end()));
      dirty.clear();
      return;
    }
    for (int i = 0; i < 8 && home_written.size() < frozen.size(); ++i) {
      auto next = frozen.begin();
      while (home_written.contains(next->first)) ++next;
      REQUIRE(number_in(cache.frozen_block(next->first)) == next->second);
      write_home(next->first);
      home_written.insert(next->first);
    }
    if (home_written.size() < frozen.size()) return;
    cache.thaw();
    frozen.clear();
    home_written.clear();
  }
  void check_all() {
    for (const auto& [address, number] : live) look(address);
    for (const auto& [address, number] : frozen)
      REQUIRE(number_in(cache.frozen_block(address)) == number);
  }
};

}  // namespace

TEST_CASE("the cache equals a naive twin under random events") {
  const auto seed = std::random_device{}();
  for (std::uint64_t run = 0; run < 20; ++run) {
    INFO("seed " << seed + run);
    Twin twin(seed + run);
    for (int i = 0; i < 4000; ++i) twin.step();
    twin.check_all();
    while (twin.device.in_flight() > 0) twin.device.wait();
    twin.check_all();
    // Nothing leaks: with every checkpoint done and every block forgotten, no memory is in use.
    while (twin.cache.frozen()) twin.checkpoint_step();
    for (std::uint64_t a = 0; a < Twin::kAddresses; ++a) twin.drop(BlockAddress{a});
    REQUIRE(twin.cache.size() == 0);
  }
}
