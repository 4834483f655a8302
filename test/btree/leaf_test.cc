// SPDX-License-Identifier: Apache-2.0
#include "btree/leaf.h"

#include <catch2/catch.hpp>
#include <random>

#include "test/btree/leaves.h"
#include "test/btree/naive.h"

using namespace csnap;
using namespace csnap::test;

namespace {

std::vector<LeafEntry> entries_of(const Block& block) {
  std::vector<LeafEntry> all;
  const LeafView leaf(block);
  for (unsigned i = 0; i < leaf.entries(); ++i) all.push_back(leaf.entry(i));
  return all;
}

LeafEntry entry(std::uint64_t chunk, std::uint32_t length, std::uint64_t store, ShareMask mask) {
  return {Chunk{chunk}, length, StoreChunk{store}, mask};
}

NaiveMap::Content content_of(const Block& block) {
  NaiveMap map;
  for (const LeafEntry& one : entries_of(block))
    map.insert({one.chunk, one.length}, one.store, one.mask);
  return map.content();
}

// One-chunk entries two apart, until no more fit; returns how many there are.
unsigned fill(Block& block, ShareMask mask = 1) {
  unsigned n = 0;
  while (leaf_insert(block, run(2 * n, 1), StoreChunk{1000 + 5 * n}, mask) == 1) ++n;
  return n;
}

}  // namespace

TEST_CASE("a leaf finds the segment that holds a chunk, or the next one") {
  Block block = empty_leaf();
  CHECK(LeafView(block).find(Chunk{7}) == 0);
  insert(block, run(10, 4), 100, 1);
  insert(block, run(10, 4), 200, 2);
  insert(block, run(20, 1), 300, 1);
  const LeafView leaf(block);
  CHECK(leaf.find(Chunk{0}) == 0);
  CHECK(leaf.find(Chunk{10}) == 0);
  CHECK(leaf.find(Chunk{13}) == 0);
  CHECK(leaf.find(Chunk{14}) == 2);
  CHECK(leaf.find(Chunk{20}) == 2);
  CHECK(leaf.find(Chunk{21}) == 3);
}

TEST_CASE("runs that continue each other become one entry") {
  Block block = empty_leaf();
  insert(block, run(10, 2), 100, 6);
  insert(block, run(12, 3), 102, 6);
  CHECK(entries_of(block) == std::vector{entry(10, 5, 100, 6)});
  insert(block, run(8, 2), 98, 6);
  CHECK(entries_of(block) == std::vector{entry(8, 7, 98, 6)});

  SECTION("also when one fills the hole between two") {
    insert(block, run(16, 2), 106, 6);
    insert(block, run(15, 1), 105, 6);
    CHECK(entries_of(block) == std::vector{entry(8, 10, 98, 6)});
  }
  SECTION("but not when the store goes on elsewhere") {
    insert(block, run(15, 1), 500, 6);
    CHECK(LeafView(block).entries() == 2);
  }
  SECTION("but not with another mask") {
    insert(block, run(15, 1), 105, 4);
    CHECK(LeafView(block).entries() == 2);
  }
  SECTION("but not beyond the longest run") {
    insert(block, run(15, 250), 105, 6);
    CHECK(LeafView(block).entries() == 2);
    insert(block, run(265, 6), 355, 6);
    CHECK(entries_of(block) == std::vector{entry(8, 7, 98, 6), entry(15, 256, 105, 6)});
  }
}

TEST_CASE("a run over gaps and segments splits the segments at its edges") {
  Block block = empty_leaf();
  insert(block, run(10, 10), 100, 1);
  insert(block, run(30, 10), 200, 2);
  insert(block, run(15, 20), 500, 4);
  CHECK(entries_of(block) == std::vector{
                                 entry(10, 5, 100, 1),
                                 entry(15, 5, 105, 1),
                                 entry(15, 5, 500, 4),
                                 entry(20, 10, 505, 4),
                                 entry(30, 5, 200, 2),
                                 entry(30, 5, 515, 4),
                                 entry(35, 5, 205, 2),
                             });
  REQUIRE(validate_leaf(block).ok());

  SECTION("and taking it out joins them again") {
    std::vector<StoreRun> freed;
    REQUIRE(leaf_clear(block, run(0, 100), 4, freed));
    CHECK(freed == std::vector{StoreRun{StoreChunk{500}, 20}});
    CHECK(entries_of(block) == std::vector{entry(10, 10, 100, 1), entry(30, 10, 200, 2)});
    CHECK(LeafView(block).masks() == 2);
    REQUIRE(validate_leaf(block).ok());
  }
}

TEST_CASE("clearing bits over part of a segment leaves the rest as it was") {
  Block block = empty_leaf();
  insert(block, run(100, 9), 1000, 3);
  std::vector<StoreRun> freed;
  REQUIRE(leaf_clear(block, run(103, 3), 1, freed));
  CHECK(freed.empty());
  CHECK(entries_of(block) ==
        std::vector{entry(100, 3, 1000, 3), entry(103, 3, 1003, 2), entry(106, 3, 1006, 3)});
  REQUIRE(leaf_clear(block, run(104, 1), 3, freed));
  CHECK(freed == std::vector{StoreRun{StoreChunk{1004}, 1}});
  CHECK(LeafView(block).entries() == 4);
  REQUIRE(validate_leaf(block).ok());
}

TEST_CASE("clearing bits that no exception of the run has changes nothing") {
  Block block = empty_leaf();
  insert(block, run(100, 9), 1000, 3);
  insert(block, run(109, 9), 2000, 4);
  const Block before = block;
  std::vector<StoreRun> freed;
  REQUIRE(leaf_clear(block, run(104, 5), 4, freed));
  CHECK(block == before);
  CHECK_FALSE(LeafView(block).holds(run(104, 5), 4));
  CHECK(LeafView(block).holds(run(104, 6), 4));
}

TEST_CASE("a mask that nobody uses any more leaves the dictionary") {
  Block block = empty_leaf();
  for (unsigned bit = 0; bit < 40; ++bit)
    insert(block, run(bit, 1), 100 + 2 * bit, mask_of_bit(bit));
  REQUIRE(LeafView(block).masks() == 40);
  std::vector<StoreRun> freed;
  REQUIRE(
      leaf_clear(block, run(0, 100), mask_of_bit(0) | mask_of_bit(17) | mask_of_bit(39), freed));
  CHECK(LeafView(block).masks() == 37);
  CHECK(LeafView(block).mask_union() ==
        ((ShareMask{1} << 39) - 1) - mask_of_bit(0) - mask_of_bit(17));
  CHECK(freed.size() == 3);
  REQUIRE(validate_leaf(block).ok());
}

TEST_CASE("sixty-four exceptions of one segment fit, and so do they when it is cut in three") {
  Block block = empty_leaf();
  for (unsigned bit = 0; bit < 63; ++bit) insert(block, run(50, 9), 1000 * bit, mask_of_bit(bit));
  insert(block, run(53, 3), 900000, mask_of_bit(63));
  const LeafView leaf(block);
  CHECK(leaf.entries() == 63 + 64 + 63);
  REQUIRE(validate_leaf(block).ok());
  const unsigned middle = leaf.find(Chunk{54});
  CHECK(leaf.segment_end(middle) - middle == 64);
  CHECK(leaf.mask_union() == ~ShareMask{0});
}

TEST_CASE("a full leaf refuses an insertion and is as before") {
  Block block = empty_leaf();
  const unsigned n = fill(block);
  CHECK(n == kMaxLeafEntries);
  const Block before = block;
  CHECK(leaf_insert(block, run(10001, 300), StoreChunk{77777}, 1) == 0);
  CHECK(block == before);

  SECTION("but goes on to join what continues an entry") {
    CHECK(leaf_insert(block, run(2 * (n - 1) + 1, 1), StoreChunk{1000 + 5 * (n - 1) + 1}, 1) == 1);
    CHECK(LeafView(block).entries() == n);
  }
}

TEST_CASE("an insertion that fits in part says how far it came") {
  Block block = empty_leaf();
  const unsigned n = fill(block);
  std::vector<StoreRun> freed;
  REQUIRE(leaf_clear(block, run(2 * n - 6, 6), 1, freed));  // the last three
  CHECK(leaf_insert(block, run(2 * n, 1000), StoreChunk{500000}, 1) == 3 * kMaxRunLength);
}

TEST_CASE("a clear that needs more room than there is changes nothing") {
  Block block = empty_leaf();
  unsigned n = 0;
  while (leaf_insert(block, run(2 * n, 1), StoreChunk{1000 + 5 * n}, ShareMask{3} << (n % 40)) == 1)
    ++n;
  const Block before = block;
  std::vector<StoreRun> freed;
  CHECK_FALSE(leaf_clear(block, run(0, n), ~ShareMask{0} / 3, freed));
  CHECK(block == before);
  CHECK(freed.empty());
}

TEST_CASE("a split leaf keeps segments whole and gives each half its own dictionary") {
  Block left = empty_leaf(), right = empty_leaf();
  for (unsigned i = 0; i < 3; ++i)
    for (unsigned bit = 0; bit < 40; ++bit)
      insert(left, run(10 * i, 5), 100000 * i + 100 * bit, mask_of_bit(bit + 10 * i));
  NaiveMap::Content before = content_of(left);
  const unsigned point = leaf_split_point(LeafView(left));
  CHECK((point == 40 || point == 80));
  leaf_split(left, right, point);
  REQUIRE(validate_leaf(left).ok());
  REQUIRE(validate_leaf(right).ok());
  NaiveMap::Content both = content_of(left);
  both.merge(content_of(right));
  CHECK(both == before);

  CHECK(leaf_merged_bytes(LeafView(left), LeafView(right)) == 120 * 14 + 60 * 8);
  leaf_merge(left, LeafView(right));
  REQUIRE(validate_leaf(left).ok());
  CHECK(content_of(left) == before);
}

TEST_CASE("merging two leaves joins the run that was cut between them") {
  Block left = empty_leaf(), right = empty_leaf();
  insert(left, run(0, 10), 100, 1);
  insert(right, run(10, 10), 110, 1);
  leaf_merge(left, LeafView(right));
  CHECK(entries_of(left) == std::vector{entry(0, 20, 100, 1)});
}

TEST_CASE("a leaf of one segment has no place to be split") {
  Block block = empty_leaf();
  insert(block, run(0, 10), 100, 1);
  CHECK(leaf_split_point(LeafView(block)) == 0);
  insert(block, run(0, 10), 200, 2);
  insert(block, run(0, 10), 300, 4);
  CHECK(leaf_split_point(LeafView(block)) == 0);
}

TEST_CASE("a leaf under random events equals a map") {
  const auto seed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u);
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  Block block = empty_leaf();
  NaiveMap twin;
  const std::uint64_t span = 40 << (seed % 4);
  const std::uint64_t longest = seed % 2 ? 4 : 30;
  const unsigned bits = 4 << (seed % 5);
  std::uint64_t next_store = 1 << 20;
  unsigned inserted = 0, refused = 0;
  for (int event = 0; event < 6000; ++event) {
    const ChunkRun chunks = run(rng() % span, 1 + rng() % longest);
    if (rng() % 100 < 60) {
      const ShareMask all = bits == 64 ? ~ShareMask{0} : (ShareMask{1} << bits) - 1;
      ShareMask mask = all & ~twin.masks_in(chunks);
      if (rng() % 2) mask &= rng();
      if (mask == 0) continue;
      if (rng() % 3 == 0) next_store += 1000;
      const std::uint64_t done = leaf_insert(block, chunks, StoreChunk{next_store}, mask);
      twin.insert({chunks.start, done}, StoreChunk{next_store}, mask);
      next_store += done;
      ++(done == chunks.count ? inserted : refused);
    } else {
      const ShareMask gone = rng() & rng();
      std::vector<StoreRun> freed;
      const Block before = block;
      if (leaf_clear(block, chunks, gone, freed)) {
        REQUIRE(chunks_of(freed) == twin.clear(chunks, gone));
      } else {
        REQUIRE(block == before);
        REQUIRE(leaf_clear(block, run(0, span + longest), gone, freed));
        REQUIRE(chunks_of(freed) == twin.clear(run(0, span + longest), gone));
      }
    }
    if (LeafView(block).entries() > 0) {
      const Status valid = validate_leaf(block);
      INFO(valid.to_string());
      REQUIRE(valid.ok());
    }
    REQUIRE(content_of(block) == twin.content());
  }
  CHECK(inserted > 100);
  if (seed % 4 == 3) CHECK(refused > 0);
}

TEST_CASE("the worked example of docs/format/tree.md has the bytes that it says") {
  Block block = empty_leaf();
  std::vector<StoreRun> freed;
  insert(block, run(16, 4), 512, 3);
  REQUIRE(leaf_clear(block, run(17, 1), 2, freed));
  insert(block, run(17, 1), 600, 2);
  insert(block, run(40, 1), 516, 7);
  const std::vector<unsigned> front = {0x05, 0, 0x04, 0, 0, 0, 0,    0,                       //
                                       0x10, 0, 0,    0, 0, 0, 0,    0x02, 0, 0, 0, 0, 0, 0,  //
                                       0x11, 0, 0,    0, 0, 0, 1,    0x02, 0, 0, 0, 0, 0, 1,  //
                                       0x11, 0, 0,    0, 0, 0, 0x58, 0x02, 0, 0, 0, 0, 0, 2,  //
                                       0x12, 0, 0,    0, 0, 0, 2,    0x02, 0, 0, 0, 0, 1, 0,  //
                                       0x28, 0, 0,    0, 0, 0, 4,    0x02, 0, 0, 0, 0, 0, 3};
  for (std::size_t i = 0; i < front.size(); ++i) {
    INFO("byte " << i);
    REQUIRE(std::to_integer<unsigned>(block.payload()[i]) == front[i]);
  }
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(view_as<Le64>(block.payload().subspan(0xfa0 + 8 * i)).get() ==
          std::vector<ShareMask>{7, 2, 1, 3}[i]);

  REQUIRE(leaf_clear(block, run(0, 100), 1, freed));
  CHECK(freed == std::vector{StoreRun{StoreChunk{513}, 1}});
  CHECK(entries_of(block) == std::vector{entry(16, 1, 512, 2), entry(17, 1, 600, 2),
                                         entry(18, 2, 514, 2), entry(40, 1, 516, 6)});
  CHECK(LeafView(block).masks() == 2);
}
