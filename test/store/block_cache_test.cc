// SPDX-License-Identifier: Apache-2.0
#include "store/block_cache.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <utility>

#include "store/zeros.h"
#include "test/store/cache_fixture.h"

using namespace csnap;
using namespace csnap::test;

namespace {

constexpr BlockAddress kA{10}, kB{11};

}  // namespace

TEST_CASE_METHOD(CacheFixture, "a block that is not in memory is asked for by its address") {
  const auto missing = cache.read(kA, BlockKind::leaf);
  CHECK(missing.status().code() == Code::need_block);
  CHECK(missing.status().detail() == 10);
  CHECK(cache.edit(kA, BlockKind::leaf).status().code() == Code::need_block);
  CHECK(cache.counters().misses == 2);
}

TEST_CASE_METHOD(CacheFixture, "a fetched block can be read and edited") {
  on_disk(kA, 7);
  REQUIRE(cache.fetch_sync(kA).ok());
  CHECK(number(kA) == 7);
  CHECK(cache.dirty() == 0);
  put_number(*cache.edit(kA, BlockKind::leaf), 8);
  CHECK(cache.dirty() == 1);
  CHECK(number(kA) == 8);
  CHECK(cache.counters().hits == 3);
}

TEST_CASE_METHOD(CacheFixture, "what is done to a node is counted, what is done to others is not") {
  on_disk(kA, 7);
  REQUIRE(cache.fetch_sync(kA).ok());
  put_number(*cache.edit(kA, BlockKind::leaf), 8);
  cache.forget(kA);
  std::uint64_t before = cache.node_changes();
  CHECK(before == 0);
  const auto grown = [&] {
    const std::uint64_t old = std::exchange(before, cache.node_changes());
    return before > old;
  };
  cache.create(kB, BlockKind::node);
  CHECK(cache.find(kB, BlockKind::node) != nullptr);
  CHECK(cache.find(kB, BlockKind::leaf) == nullptr);
  CHECK(cache.find(kA, BlockKind::node) == nullptr);
  CHECK_FALSE(grown());
  REQUIRE(cache.edit(kB, BlockKind::node).ok());
  CHECK(grown());
  cache.create(kB, BlockKind::leaf);
  CHECK(grown());
  cache.create(kB, BlockKind::node);
  before = cache.node_changes();
  cache.forget(kB);
  CHECK(grown());
}

TEST_CASE_METHOD(CacheFixture, "several fetches of one block are one read, and all are told") {
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

TEST_CASE_METHOD(CacheFixture, "a damaged block is corrupt to all who wanted it and is not kept") {
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

TEST_CASE_METHOD(CacheFixture, "a block of another kind than wanted is corrupt") {
  on_disk(kA, 7, BlockKind::bitmap);
  REQUIRE(cache.fetch_sync(kA).ok());
  const auto block = cache.read(kA, BlockKind::leaf);
  CHECK(block.status().code() == Code::corrupt);
  CHECK(block.status().message() == "metadata block 10 is a bitmap, not a leaf");
  CHECK(cache.edit(kA, BlockKind::leaf).status().code() == Code::corrupt);
  CHECK(cache.dirty() == 0);
}

TEST_CASE_METHOD(CacheFixture, "the validator of a kind judges blocks of that kind only") {
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

TEST_CASE_METHOD(CacheFixture, "an address past the device is out of range, however large") {
  CHECK(cache.fetch_sync(BlockAddress{kBlocks}).code() == Code::out_of_range);
  CHECK(cache.fetch_sync(BlockAddress{1ULL << 52}).code() == Code::out_of_range);
  CHECK(cache.fetch_sync(BlockAddress{~0ULL}).code() == Code::out_of_range);
  CHECK(cache.size() == 0);
}

TEST_CASE_METHOD(CacheFixture, "a created block is dirty, and zero but for its header") {
  const MutableBlock block = cache.create(kA, BlockKind::leaf);
  CHECK(kind_of(block) == BlockKind::leaf);
  CHECK(view_as<BlockHeader>(block).address.get() == 10);
  CHECK(all_zero(block.subspan(sizeof(BlockHeader))));
  CHECK(cache.dirty() == 1);
  put_number(block, 5);
  CHECK(number(kA) == 5);
  CHECK(number_in(cache.create(kA, BlockKind::leaf)) == 0);
  CHECK(cache.dirty() == 1);
  CHECK(cache.size() == 1);
}

TEST_CASE_METHOD(CacheFixture, "an installed block is dirty and has the content it came with") {
  std::vector<std::byte> image(kBlockSize);
  put_number(image, 3);
  seal_block(image, BlockKind::node, kA, kStore, Sequence{4});
  cache.install(kA, image);
  CHECK(cache.dirty() == 1);
  const auto block = cache.read(kA, BlockKind::node);
  REQUIRE(block.ok());
  CHECK(std::equal(image.begin(), image.end(), block->begin()));
}

TEST_CASE_METHOD(CacheFixture, "a frozen block keeps its content while commits go on") {
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

TEST_CASE_METHOD(CacheFixture, "frozen bytes handed to the device do not move under an edit") {
  put_number(cache.create(kA, BlockKind::leaf), 1);
  cache.freeze(Sequence{2});
  const ConstBlock out = cache.frozen_block(kA);
  put_number(*cache.edit(kA, BlockKind::leaf), 100);
  CHECK(cache.frozen_block(kA).data() == out.data());
  CHECK(number_in(out) == 1);
}

TEST_CASE_METHOD(CacheFixture, "a span taken before a freeze still shows the block after an edit") {
  put_number(cache.create(kA, BlockKind::leaf), 1);
  const auto before = cache.read(kA, BlockKind::leaf);
  cache.freeze(Sequence{2});
  put_number(*cache.edit(kA, BlockKind::leaf), 100);
  CHECK(number_in(*before) == 100);
}

TEST_CASE_METHOD(CacheFixture,
                 "a forgotten block is gone, but its frozen content still goes home") {
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

TEST_CASE_METHOD(CacheFixture,
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

TEST_CASE_METHOD(CacheFixture, "a block created while it is fetched keeps the new content") {
  on_disk(kA, 50);
  int told = 0;
  cache.fetch(kA, [&](Status s) { told += s.ok(); });
  put_number(cache.create(kA, BlockKind::leaf), 1);
  device.poll();
  CHECK(told == 1);
  CHECK(number(kA) == 1);
  CHECK(cache.size() == 1);
}

TEST_CASE_METHOD(CacheFixture, "a fetch overtaken by a write home is read again") {
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

TEST_CASE_METHOD(CacheFixture,
                 "trim gives up clean blocks that were not used lately, and no others") {
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

TEST_CASE_METHOD(CacheFixture, "trim keeps dirty and frozen blocks, however many") {
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

TEST_CASE_METHOD(CacheFixture, "a cache is never smaller than 64 blocks") {
  BlockCache small(device, kStore, 0);
  CHECK(small.capacity() == 64);
  CHECK(small.dirty_limit() == 32);
}

TEST_CASE_METHOD(CacheFixture, "a read error reaches who asked and leaves nothing behind") {
  int failed = 0;
  cache.fetch(kA, [&](Status s) { failed += s.code() == Code::io_error; });
  volume->crash_losing_all();
  device.poll();
  CHECK(failed == 1);
  CHECK(cache.size() == 0);
}

TEST_CASE_METHOD(CacheFixture, "a waiter may fetch, edit and trim from inside its call") {
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
