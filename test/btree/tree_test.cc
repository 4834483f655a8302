// SPDX-License-Identifier: Apache-2.0
#include "btree/tree.h"

#include <catch2/catch.hpp>

#include "test/btree/tree_fixture.h"

using namespace csnap;
using namespace csnap::test;

TEST_CASE("an empty tree has no block and maps everything to the origin") {
  TreeFixture t;
  const Mapping mapping = t.lookup(Chunk{5}, 100);
  CHECK(mapping.chunks == run_of(5, 100));
  CHECK(mapping.count == 0);
  CHECK(t.tree.levels() == 0);
  CHECK_FALSE(t.tree.next_mapping(Chunk{0})->has_value());
  CHECK_FALSE(t.tree.next_leaf_with(~ShareMask{0}, Chunk{0})->has_value());
  CHECK(t.clear(run_of(0, 1000), ~ShareMask{0}).empty());
  CHECK(t.check().empty());
}

TEST_CASE("a lookup tells exceptions from the chunk asked for on, by ascending mask") {
  TreeFixture t;
  t.insert(run_of(10, 20), 1000, 4);
  t.insert(run_of(10, 20), 2000, 2);
  const Mapping mapping = t.lookup(Chunk{13}, 5);
  CHECK(mapping.chunks == run_of(13, 5));
  REQUIRE(mapping.count == 2);
  CHECK(mapping.exceptions[0] == Exception{StoreChunk{2003}, 2});
  CHECK(mapping.exceptions[1] == Exception{StoreChunk{1003}, 4});
  CHECK(mapping.shared == 6);
  CHECK(mapping.find(4)->store == StoreChunk{1003});
  CHECK(mapping.find(1) == nullptr);
  CHECK(t.lookup(Chunk{13}, 500).chunks == run_of(13, 17));
}

TEST_CASE("a gap reaches to the next exception or as far as was asked") {
  TreeFixture t;
  t.insert(run_of(10, 2), 1000, 1);
  t.insert(run_of(20, 2), 2000, 1);
  CHECK(t.lookup(Chunk{0}, 100).chunks == run_of(0, 10));
  CHECK(t.lookup(Chunk{12}, 100).chunks == run_of(12, 8));
  CHECK(t.lookup(Chunk{12}, 3).chunks == run_of(12, 3));
  const Mapping last = t.lookup(Chunk{22}, ~std::uint64_t{0});
  CHECK(last.count == 0);
  CHECK(last.chunks == run_of(22, kMaxChunks - 22));
}

TEST_CASE("a chunk that cannot be is out of range") {
  TreeFixture t;
  t.insert(run_of(kMaxChunks - 3, 3), 1000, 1);
  CHECK(t.lookup(Chunk{kMaxChunks - 1}, 10).chunks == run_of(kMaxChunks - 1, 1));
  Mapping mapping;
  CHECK(t.tree.lookup(Chunk{kMaxChunks}, 1, mapping).code() == Code::out_of_range);
  CHECK(t.tree.prepare(run_of(kMaxChunks - 1, 2)).code() == Code::out_of_range);
  CHECK(t.tree.prepare(run_of(1, ~std::uint64_t{0})).code() == Code::out_of_range);
}

TEST_CASE("a run of any length goes in and comes out") {
  TreeFixture t;
  t.insert(run_of(77, 200000), 5000, 3);
  CHECK(t.tree.levels() == 2);
  t.insert(run_of(500, 100000), 2000000, 4);
  CHECK(t.lookup(Chunk{500}, 1).count == 2);
  t.check();
  CHECK(t.report.exceptions == 300000);
  const auto freed = t.clear(run_of(0, kMaxChunks), 7);
  std::uint64_t chunks = 0;
  for (const StoreRun& run : freed) chunks += run.count;
  CHECK(chunks == 300000);
  CHECK(freed.size() == 2);
  CHECK(t.tree.levels() == 0);
  CHECK(t.check().empty());
}

TEST_CASE("freed store runs that lie side by side are one") {
  TreeFixture t;
  t.insert(run_of(10, 4), 104, 1);
  t.insert(run_of(20, 4), 100, 1);
  t.insert(run_of(30, 4), 108, 1);
  CHECK(t.clear(run_of(0, 100), 1) == std::vector{StoreRun{StoreChunk{100}, 12}});
}

TEST_CASE("a sequential load leaves leaves full") {
  const bool whole_tail = GENERATE(true, false);
  TreeFixture t;
  // Not mergeable, so that each exception is an entry; with a second load below an existing key.
  const std::uint64_t base = whole_tail ? 0 : 1 << 20;
  if (!whole_tail) t.insert(run_of(1 << 30, 1), 7, 1);
  for (std::uint64_t i = 0; i < 50000; ++i) t.insert(run_of(base + 3 * i, 1), 100 + 2 * i, 1);
  t.check();
  const double bytes = static_cast<double>(t.report.entries) * sizeof(DiskLeafEntry);
  CHECK(bytes / static_cast<double>(t.report.leaves * kLeafRoom) >= 0.9);
}

TEST_CASE("sorted batches leave leaves full, wherever they come, and runs take at most 4 bytes") {
  const std::uint64_t base = GENERATE(0u, 1u << 20);
  TreeFixture t;
  if (base > 0) t.insert(run_of(1 << 30, 1), 7, 1);
  std::vector<ChunkRun> batch;
  for (std::uint64_t i = 0; i < 200000;) {
    batch.clear();
    for (unsigned k = 0; k < 256; ++k) batch.push_back(run_of(base + i + k, 1));
    for (std::size_t k = 0; k < batch.size(); ++k, ++i) {
      if (k % ExceptionTree::kWarmAtOnce == 0) t.tree.warm(std::span(batch).subspan(k));
      t.insert(batch[k], 1000 + i, 1 + i / 7 % 15);
    }
  }
  t.check();
  CHECK(t.report.exceptions >= 200000);
  CHECK(t.report.leaves * kLeafRoom * 9 / 10 <=
        t.report.entries * sizeof(DiskLeafEntry) + t.report.leaves * 15 * kMaskSize);
  CHECK(t.superblock.tree_blocks * kBlockSize <= 4 * t.report.exceptions);
}

TEST_CASE("a way that was gone is not gone again when it leads elsewhere now") {
  TreeFixture t;
  for (std::uint64_t i = 0; i < 20000; ++i) t.insert(run_of(4 * i, 1), 100 + 2 * i, 1);
  // Remembered: leaves that are split, merged with what lies beside them, and gone.
  const std::vector<ChunkRun> ways = {run_of(4000, 1), run_of(20000, 1), run_of(60000, 1)};
  t.tree.warm(ways);
  for (std::uint64_t i = 0; i < 300; ++i) t.insert(run_of(4001 + 4 * i, 1), 90000 + 2 * i, 1);
  CHECK(t.lookup(Chunk{5197}, 1).exceptions[0].store == StoreChunk{90598});
  t.tree.warm(ways);
  t.clear(run_of(16000, 40000), 1);
  CHECK(t.lookup(Chunk{20000}, 1).count == 0);
  CHECK((*t.tree.next_mapping(Chunk{20000}))->chunks.start == Chunk{56000});
  t.insert(run_of(20000, 1), 7, 1);
  CHECK(t.lookup(Chunk{20000}, 1).exceptions[0].store == StoreChunk{7});
  t.tree.warm(ways);
  t.clear(run_of(0, kMaxChunks), 1);
  CHECK(t.lookup(Chunk{60000}, 1).count == 0);
  t.insert(run_of(60000, 1), 8, 1);
  CHECK(t.lookup(Chunk{60000}, 1).exceptions[0].store == StoreChunk{8});
  t.check();
}

TEST_CASE("a load that goes downwards does not waste leaves") {
  TreeFixture t;
  for (std::uint64_t i = 0; i < 286; ++i) t.insert(run_of(2 * i, 1), 100 + 2 * i, 1);
  for (std::uint64_t i = 20000; i > 0; --i) t.insert(run_of(10000 + 3 * i, 1), 9000 + 2 * i, 1);
  t.check();
  CHECK(t.superblock.tree_blocks * kBlockSize / t.report.exceptions <= 40);
}

TEST_CASE("random exceptions of one chunk take at most 24 bytes each") {
  const auto seed = GENERATE(5u, 6u);
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  TreeFixture t;
  std::set<std::uint64_t> taken;
  while (taken.size() < 200000) {
    const std::uint64_t chunk = rng() % (1ULL << 36);
    if (!taken.insert(chunk).second) continue;
    t.insert(run_of(chunk, 1), 3 * taken.size(), 1);
  }
  CHECK(t.tree.levels() == 3);
  t.check();
  CHECK(t.report.exceptions == 200000);
  CHECK(static_cast<double>(t.superblock.tree_blocks * kBlockSize) / 200000 <= 24.0);
}

TEST_CASE("sixty-four exceptions on each of many chunks are all found") {
  TreeFixture t;
  for (unsigned bit = 0; bit < 64; ++bit)
    for (std::uint64_t i = 0; i < 100; ++i)
      t.insert(run_of(3 * i, 2), 1000000 * bit + 10 * i, mask_of_bit(bit));
  t.check();
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Mapping mapping = t.lookup(Chunk{3 * i + 1}, 100);
    REQUIRE(mapping.count == 64);
    REQUIRE(mapping.chunks.count == 1);
    REQUIRE(mapping.shared == ~ShareMask{0});
    for (unsigned bit = 0; bit < 64; ++bit)
      REQUIRE(mapping.exceptions[bit] ==
              Exception{StoreChunk{1000000 * bit + 10 * i + 1}, mask_of_bit(bit)});
  }
}

TEST_CASE("deleting a snapshot leaves the others' exceptions alone and gives blocks back") {
  TreeFixture t(1 << 20);
  std::mt19937_64 rng(77);
  NaiveMap twin;
  std::uint64_t store = 0;
  for (int i = 0; i < 60000; ++i) {
    const ChunkRun run = run_of(rng() % 400000, 1 + rng() % 3);
    const ShareMask mask = (1 + rng() % 7) & ~twin.masks_in(run);
    if (mask == 0) continue;
    t.insert(run, store += 10, mask);
    twin.insert(run, StoreChunk{store}, mask);
  }
  t.insert(run_of(1 << 20, 5), store += 10, 8);
  twin.insert(run_of(1 << 20, 5), StoreChunk{store}, 8);
  const std::uint64_t before = t.superblock.tree_blocks;
  REQUIRE(t.tree.levels() == 3);

  for (const ShareMask bit : {1, 2, 4}) {
    // As a deletion does it: leaf by leaf, past those that do not hold the bit.
    Chunk at{0};
    std::set<std::uint64_t> freed;
    for (;;) {
      const auto next = t.retry([&] { return t.tree.next_leaf_with(bit, at); });
      REQUIRE(next.ok());
      if (!next->has_value()) break;
      freed.merge(chunks_of(t.clear(**next, bit)));
      at = (*next)->end();
    }
    REQUIRE(freed == twin.clear(run_of(0, kMaxChunks), bit));
    REQUIRE(t.check(15 & ~bit) == twin.content());
    REQUIRE((twin.masks_in(run_of(0, kMaxChunks)) & bit) == 0);
  }
  CHECK(before > 200);
  CHECK(t.superblock.tree_blocks == 1);
  CHECK(t.tree.levels() == 1);
}

TEST_CASE(
    "the search for a snapshot's leaves passes by subtrees without it and does not read them") {
  TreeFixture t(1 << 18);
  for (std::uint64_t i = 0; i < 100000; ++i) t.insert(run_of(3 * i, 1), 2 * i, 1);
  t.insert(run_of(250001, 1), 900000, 2);
  t.checkpoint();
  t.misses = 0;
  const auto found = t.retry([&] { return t.tree.next_leaf_with(2, Chunk{100}); });
  REQUIRE(found.ok());
  REQUIRE(found->has_value());
  CHECK((*found)->contains(Chunk{250001}));
  CHECK(t.misses <= 2);
  const Chunk end = (*found)->end();
  const auto none = t.retry([&] { return t.tree.next_leaf_with(2, end); });
  CHECK_FALSE(none->has_value());
  const auto clipped = t.retry([&] { return t.tree.next_leaf_with(2, Chunk{250001}); });
  REQUIRE(clipped->has_value());
  CHECK(**clipped == ChunkRun{Chunk{250001}, end - Chunk{250001}});
}

TEST_CASE("mappings come one after the other, the first from where it is asked for") {
  TreeFixture t;
  t.insert(run_of(10, 10), 100, 1);
  t.insert(run_of(1000, 10), 200, 3);
  const auto first = t.tree.next_mapping(Chunk{14});
  REQUIRE(first->has_value());
  CHECK((*first)->chunks == run_of(14, 6));
  CHECK((*first)->exceptions[0].store == StoreChunk{104});
  const auto second = t.tree.next_mapping(Chunk{20});
  REQUIRE(second->has_value());
  CHECK((*second)->chunks == run_of(1000, 10));
  CHECK_FALSE(t.tree.next_mapping(Chunk{1010})->has_value());
}

TEST_CASE("a full store refuses the preparation and the tree is as before") {
  TreeFixture t;
  for (std::uint64_t i = 0; i < 286; ++i) t.insert(run_of(2 * i, 1), 100 + 2 * i, 1);
  t.allocator.limit = 0;
  CHECK(t.tree.prepare(run_of(1001, 1), ExceptionTree::Change::insert).code() == Code::no_space);
  CHECK(t.check().size() == 286);
  // What needs no block goes on.
  CHECK(t.clear(run_of(0, 2), 1).size() == 1);
}

TEST_CASE("an insertion asks for no block while the leaf has room") {
  TreeFixture t;
  t.insert(run_of(0, 1), 100, 1);
  t.allocator.limit = 0;
  for (std::uint64_t i = 1; i < 200; ++i) t.insert(run_of(2 * i, 1), 100 + 2 * i, 1);
  t.insert(run_of(0, 1), 9000, 2);
  CHECK(t.superblock.tree_blocks == 1);
}
