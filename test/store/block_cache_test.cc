// SPDX-License-Identifier: Apache-2.0
#include "store/block_cache.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "store/address_table.h"
#include "store/memory_device.h"

using namespace csnap;

namespace {

const Uuid kStore = Uuid::from_random(1, 2);
constexpr std::uint64_t kBlocks = 4096;

void put_number(MutableBlock block, std::uint64_t number) {
  view_as<Le64>(block.subspan(sizeof(BlockHeader))).set(number);
  view_as<Le64>(block.subspan(kBlockSize - 8)).set(number);
}

std::uint64_t number_in(ConstBlock block) {
  const std::uint64_t number = view_as<Le64>(block.subspan(sizeof(BlockHeader))).get();
  CHECK(view_as<Le64>(block.subspan(kBlockSize - 8)).get() == number);
  return number;
}

struct Fixture {
  std::shared_ptr<MemoryVolume> volume = std::make_shared<MemoryVolume>("mem", kBlocks* kBlockSize);
  MemoryDevice device{volume};
  BlockCache cache{device, kStore, 64 * kBlockSize};

  void on_disk(BlockAddress address, std::uint64_t number, BlockKind kind = BlockKind::leaf) {
    std::vector<std::byte> block(kBlockSize);
    put_number(block, number);
    seal_block(block, kind, address, kStore, Sequence{1});
    volume->poke(address.value * kBlockSize, block);
  }
  std::uint64_t reads() const { return volume->counters().reads; }
  void write_home(BlockAddress address) {
    const ConstBlock block = cache.frozen_block(address);
    REQUIRE(check_any_block(block, address, kStore).ok());
    REQUIRE(write_sync(device, address.value * kBlockSize, block).ok());
  }
  std::uint64_t number(BlockAddress address) {
    const auto block = cache.read(address, BlockKind::leaf);
    REQUIRE(block.ok());
    return number_in(*block);
  }
};

constexpr BlockAddress kA{10}, kB{11};

}  // namespace

TEST_CASE_METHOD(Fixture, "a block that is not in memory is asked for by its address") {
  const auto missing = cache.read(kA, BlockKind::leaf);
  CHECK(missing.status().code() == Code::need_block);
  CHECK(missing.status().detail() == 10);
  CHECK(cache.edit(kA, BlockKind::leaf).status().code() == Code::need_block);
  CHECK(cache.counters().misses == 2);
}

TEST_CASE_METHOD(Fixture, "a fetched block can be read and edited") {
  on_disk(kA, 7);
  REQUIRE(cache.fetch_sync(kA).ok());
  CHECK(number(kA) == 7);
  CHECK(cache.dirty() == 0);
  put_number(*cache.edit(kA, BlockKind::leaf), 8);
  CHECK(cache.dirty() == 1);
  CHECK(number(kA) == 8);
  CHECK(cache.counters().hits == 3);
}

TEST_CASE_METHOD(Fixture, "several fetches of one block are one read, and all are told") {
  on_disk(kA, 7);
  int told = 0;
  for (int i = 0; i < 3; ++i) cache.fetch(kA, [&](Status s) { told += s.ok(); });
  CHECK(told == 0);
  device.poll();
  CHECK(told == 3);
  CHECK(reads() == 1);
  cache.fetch(kA, [&](Status s) { told += s.ok(); });
  CHECK(told == 4);
  CHECK(reads() == 1);
}

TEST_CASE_METHOD(Fixture, "a damaged block is corrupt to all who wanted it and is not kept") {
  on_disk(kA, 7);
  const std::byte damage[1] = {std::byte{1}};
  volume->poke(kA.value * kBlockSize + 2000, damage);
  int corrupt = 0;
  for (int i = 0; i < 2; ++i)
    cache.fetch(kA, [&](Status s) {
      corrupt += s.code() == Code::corrupt;
      CHECK(s.message().find("mem: metadata block 10: its checksum") == 0);
    });
  device.poll();
  CHECK(corrupt == 2);
  CHECK(cache.size() == 0);
  CHECK(cache.read(kA, BlockKind::leaf).status().code() == Code::need_block);
  on_disk(kA, 7);
  CHECK(cache.fetch_sync(kA).ok());
}

TEST_CASE_METHOD(Fixture, "a block of another kind than wanted is corrupt") {
  on_disk(kA, 7, BlockKind::bitmap);
  REQUIRE(cache.fetch_sync(kA).ok());
  const auto block = cache.read(kA, BlockKind::leaf);
  CHECK(block.status().code() == Code::corrupt);
  CHECK(block.status().message() == "metadata block 10 is a bitmap, not a leaf");
  CHECK(cache.edit(kA, BlockKind::leaf).status().code() == Code::corrupt);
  CHECK(cache.dirty() == 0);
}

TEST_CASE_METHOD(Fixture, "the validator of a kind judges blocks of that kind only") {
  on_disk(kA, 7);
  on_disk(kB, 7, BlockKind::node);
  cache.set_validator(BlockKind::leaf, [](ConstBlock block) {
    if (number_in(block) == 7) return Status(Code::corrupt, "seven");
    return Status();
  });
  const Status status = cache.fetch_sync(kA);
  CHECK(status.code() == Code::corrupt);
  CHECK(status.message() == "mem: metadata block 10 (leaf): seven");
  CHECK(cache.fetch_sync(kB).ok());
  on_disk(kA, 8);
  CHECK(cache.fetch_sync(kA).ok());
}

TEST_CASE_METHOD(Fixture, "an address past the device is out of range, however large") {
  CHECK(cache.fetch_sync(BlockAddress{kBlocks}).code() == Code::out_of_range);
  CHECK(cache.fetch_sync(BlockAddress{1ULL << 52}).code() == Code::out_of_range);
  CHECK(cache.fetch_sync(BlockAddress{~0ULL}).code() == Code::out_of_range);
  CHECK(cache.size() == 0);
}

TEST_CASE_METHOD(Fixture, "a created block is dirty, and zero but for its header") {
  const MutableBlock block = cache.create(kA, BlockKind::leaf);
  CHECK(kind_of(block) == BlockKind::leaf);
  CHECK(view_as<BlockHeader>(block).address.get() == 10);
  CHECK(std::all_of(block.begin() + sizeof(BlockHeader), block.end(),
                    [](std::byte b) { return b == std::byte{0}; }));
  CHECK(cache.dirty() == 1);
  put_number(block, 5);
  CHECK(number(kA) == 5);
  CHECK(number_in(cache.create(kA, BlockKind::leaf)) == 0);
  CHECK(cache.dirty() == 1);
  CHECK(cache.size() == 1);
}

TEST_CASE_METHOD(Fixture, "an installed block is dirty and has the content it came with") {
  std::vector<std::byte> image(kBlockSize);
  put_number(image, 3);
  seal_block(image, BlockKind::node, kA, kStore, Sequence{4});
  cache.install(kA, image);
  CHECK(cache.dirty() == 1);
  const auto block = cache.read(kA, BlockKind::node);
  REQUIRE(block.ok());
  CHECK(std::equal(image.begin(), image.end(), block->begin()));
}

TEST_CASE_METHOD(Fixture, "a frozen block keeps its content while commits go on") {
  put_number(cache.create(kA, BlockKind::leaf), 1);
  put_number(cache.create(kB, BlockKind::leaf), 2);
  CHECK(cache.freeze(Sequence{33}) == std::vector<BlockAddress>{kA, kB});
  CHECK(cache.frozen());
  CHECK(cache.dirty() == 0);
  put_number(*cache.edit(kA, BlockKind::leaf), 100);
  CHECK(cache.dirty() == 1);
  CHECK(number(kA) == 100);
  const ConstBlock frozen = cache.frozen_block(kA);
  CHECK(number_in(frozen) == 1);
  CHECK(view_as<BlockHeader>(frozen).sequence.get() == 33);
  CHECK(check_block(frozen, BlockKind::leaf, kA, kStore).ok());
  write_home(kA);
  write_home(kB);
  cache.thaw();
  CHECK_FALSE(cache.frozen());
  CHECK(cache.dirty() == 1);
  CHECK(cache.size() == 2);
  CHECK(number(kA) == 100);
  CHECK(cache.freeze(Sequence{34}) == std::vector<BlockAddress>{kA});
}

TEST_CASE_METHOD(Fixture, "frozen bytes handed to the device do not move under an edit") {
  put_number(cache.create(kA, BlockKind::leaf), 1);
  cache.freeze(Sequence{2});
  const ConstBlock out = cache.frozen_block(kA);
  put_number(*cache.edit(kA, BlockKind::leaf), 100);
  CHECK(cache.frozen_block(kA).data() == out.data());
  CHECK(number_in(out) == 1);
}

TEST_CASE_METHOD(Fixture, "a span taken before a freeze still shows the block after an edit") {
  put_number(cache.create(kA, BlockKind::leaf), 1);
  const auto before = cache.read(kA, BlockKind::leaf);
  cache.freeze(Sequence{2});
  put_number(*cache.edit(kA, BlockKind::leaf), 100);
  CHECK(number_in(*before) == 100);
}

TEST_CASE_METHOD(Fixture, "a forgotten block is gone, but its frozen content still goes home") {
  put_number(cache.create(kA, BlockKind::leaf), 1);
  put_number(cache.create(kB, BlockKind::leaf), 2);
  cache.forget(kB);
  CHECK(cache.dirty() == 1);
  CHECK(cache.freeze(Sequence{2}) == std::vector<BlockAddress>{kA});
  cache.forget(kA);
  CHECK(cache.read(kA, BlockKind::leaf).status().code() == Code::need_block);
  CHECK(number_in(cache.frozen_block(kA)) == 1);
  put_number(cache.create(kA, BlockKind::node), 3);
  CHECK(number_in(cache.frozen_block(kA)) == 1);
  cache.forget(kA);
  write_home(kA);
  cache.thaw();
  CHECK(cache.size() == 0);
  CHECK(cache.dirty() == 0);
  REQUIRE(cache.fetch_sync(kA).ok());
  CHECK(number(kA) == 1);
}

TEST_CASE_METHOD(Fixture,
                 "a fetch of a forgotten block that is on its way home gives what goes there") {
  on_disk(kA, 50);
  put_number(cache.create(kA, BlockKind::leaf), 1);
  cache.freeze(Sequence{2});
  cache.forget(kA);
  REQUIRE(cache.fetch_sync(kA).ok());
  CHECK(number(kA) == 1);
  write_home(kA);
  cache.thaw();
  CHECK(number(kA) == 1);
  CHECK(cache.size() == 1);
}

TEST_CASE_METHOD(Fixture, "a block created while it is fetched keeps the new content") {
  on_disk(kA, 50);
  int told = 0;
  cache.fetch(kA, [&](Status s) { told += s.ok(); });
  put_number(cache.create(kA, BlockKind::leaf), 1);
  device.poll();
  CHECK(told == 1);
  CHECK(number(kA) == 1);
  CHECK(cache.size() == 1);
}

TEST_CASE_METHOD(Fixture, "a fetch overtaken by a write home is read again") {
  on_disk(kA, 50);
  MemoryDevice other(volume);
  int told = 0;
  cache.fetch(kA, [&](Status s) { told += s.ok(); });
  put_number(cache.create(kA, BlockKind::leaf), 1);
  cache.freeze(Sequence{2});
  REQUIRE(write_sync(other, kA.value * kBlockSize, cache.frozen_block(kA)).ok());
  cache.thaw();
  cache.forget(kA);
  device.poll();
  CHECK(told == 0);
  device.poll();
  CHECK(told == 1);
  CHECK(number(kA) == 1);
}

TEST_CASE_METHOD(Fixture, "trim gives up clean blocks that were not used lately, and no others") {
  for (std::uint64_t i = 0; i < 200; ++i) on_disk(BlockAddress{i}, i);
  for (std::uint64_t i = 0; i < 64; ++i) REQUIRE(cache.fetch_sync(BlockAddress{i}).ok());
  for (std::uint64_t i = 0; i < 10; ++i) CHECK(number(BlockAddress{i}) == i);
  for (std::uint64_t i = 10; i < 15; ++i) CHECK(cache.edit(BlockAddress{i}, BlockKind::leaf).ok());
  for (std::uint64_t i = 100; i < 140; ++i) REQUIRE(cache.fetch_sync(BlockAddress{i}).ok());
  CHECK(cache.size() == 104);
  cache.trim();
  CHECK(cache.size() == 64);
  CHECK(cache.counters().evictions == 40);
  for (std::uint64_t i = 0; i < 15; ++i) CHECK(number(BlockAddress{i}) == i);
  for (std::uint64_t i = 15; i < 55; ++i)
    CHECK_FALSE(cache.read(BlockAddress{i}, BlockKind::leaf).ok());
}

TEST_CASE_METHOD(Fixture, "trim keeps dirty and frozen blocks, however many") {
  for (std::uint64_t i = 0; i < 100; ++i) cache.create(BlockAddress{i}, BlockKind::leaf);
  cache.trim();
  CHECK(cache.size() == 100);
  cache.freeze(Sequence{2});
  cache.trim();
  CHECK(cache.size() == 100);
  for (std::uint64_t i = 0; i < 100; ++i) write_home(BlockAddress{i});
  cache.thaw();
  cache.trim();
  CHECK(cache.size() == 64);
}

TEST_CASE_METHOD(Fixture, "a cache is never smaller than 64 blocks") {
  BlockCache small(device, kStore, 0);
  CHECK(small.capacity() == 64);
  CHECK(small.dirty_limit() == 32);
}

TEST_CASE_METHOD(Fixture, "a read error reaches who asked and leaves nothing behind") {
  int failed = 0;
  cache.fetch(kA, [&](Status s) { failed += s.code() == Code::io_error; });
  volume->crash_losing_all();
  device.poll();
  CHECK(failed == 1);
  CHECK(cache.size() == 0);
}

TEST_CASE_METHOD(Fixture, "a waiter may fetch, edit and trim from inside its call") {
  for (std::uint64_t i = 0; i < 300; ++i) on_disk(BlockAddress{i}, i);
  int done = 0;
  for (std::uint64_t i = 0; i < 100; ++i)
    cache.fetch(BlockAddress{i}, [&, i](Status s) {
      REQUIRE(s.ok());
      put_number(*cache.edit(BlockAddress{i}, BlockKind::leaf), i + 1);
      cache.trim();
      cache.fetch(BlockAddress{i + 200}, [&](Status t) { done += t.ok(); });
    });
  while (device.in_flight() > 0) device.wait();
  CHECK(done == 100);
  CHECK(cache.dirty() == 100);
}

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
struct Twin : Fixture {
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
