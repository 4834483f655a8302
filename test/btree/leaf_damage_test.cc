// SPDX-License-Identifier: Apache-2.0
// Leaves whose bytes are wrong.
#include <catch2/catch.hpp>
#include <random>

#include "test/btree/leaves.h"

using namespace csnap;
using namespace csnap::test;

TEST_CASE("a damaged leaf is named as such") {
  Block block = empty_leaf();
  insert(block, run(10, 4), 100, 1);
  insert(block, run(10, 4), 200, 2);
  insert(block, run(20, 1), 300, 1);
  REQUIRE(validate_leaf(block).ok());
  auto& head = view_as<LeafHead>(block.payload());
  auto* disk = &view_as<DiskLeafEntry>(block.payload().subspan(sizeof(LeafHead)));
  auto* masks = &view_as<Le64>(block.payload().subspan(kBlockPayload - 16));  // [1] is mask 0
  std::string what;
  SECTION("no entries") {
    head.entries.set(0), what = "no entries";
  }
  SECTION("more entries than fit") {
    head.entries.set(287), what = "do not fit";
  }
  SECTION("a huge count") {
    head.entries.set(65535), what = "do not fit";
  }
  SECTION("no masks") {
    head.masks.set(0), what = "0 masks";
  }
  SECTION("more masks than entries") {
    head.masks.set(4), what = "4 masks";
  }
  SECTION("reserved bytes") {
    head.reserved[3] = 1, what = "reserved";
  }
  SECTION("an empty mask") {
    masks[1].set(0), what = "empty mask";
  }
  SECTION("a mask twice") {
    masks[1].set(2), what = "twice";
  }
  SECTION("overlapping masks") {
    masks[0].set(3), what = "masks of a segment overlap";
  }
  SECTION("masks out of order") {
    masks[1].set(4), what = "not in order";
  }
  SECTION("an unused mask") {
    disk[1].chunk.set(14), disk[1].mask.set(0), what = "not used";
  }
  SECTION("an index beyond the dictionary") {
    disk[2].mask.set(2), what = "no such mask";
  }
  SECTION("overlap") {
    disk[2].chunk.set(13), what = "overlaps";
  }
  SECTION("same chunk, other length") {
    disk[1].length_less_one.set(4), what = "overlaps";
  }
  SECTION("out of order") {
    disk[2].chunk.set(3), what = "overlaps";
  }
  SECTION("beyond the last chunk") {
    disk[2].chunk.set(kMaxChunks - 1), disk[2].length_less_one.set(1), what = "last chunk";
  }
  SECTION("beyond the end of any store") {
    disk[2].store.set(kMaxChunks - 1), disk[2].length_less_one.set(1), what = "beyond the end";
  }
  const Status status = validate_leaf(block);
  CHECK(status.code() == Code::corrupt);
  CHECK_THAT(status.message(), Catch::Contains(what));
}

TEST_CASE(
    "a leaf of noise never passes for one, and one with a few wrong bytes is valid or refused") {
  const auto seed = GENERATE(11u, 12u, 13u);
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  Block good = empty_leaf();
  for (unsigned i = 0; i < 200; ++i)
    insert(good, run(i / 3 * 15, 1 + i / 30), 100 * i, mask_of_bit(i % 3 * 20 + i % 20));
  for (int i = 0; i < 20000; ++i) {
    Block noise = good;
    for (int k = 0; k < 3; ++k)
      noise.payload()[rng() % kBlockPayload] = static_cast<std::byte>(rng());
    if (!validate_leaf(noise).ok()) continue;
    // What passed can be trusted by everything that edits.
    std::vector<StoreRun> freed;
    Block right = empty_leaf();
    const ChunkRun all{Chunk{0}, kMaxChunks};
    static_cast<void>(leaf_clear(noise, run(rng() % 1000, 50), rng(), freed));
    if (const unsigned at = leaf_split_point(LeafView(noise))) leaf_split(noise, right, at);
    static_cast<void>(LeafView(noise).find(Chunk{rng() % kMaxChunks}));
    REQUIRE(leaf_clear(noise, all, ~ShareMask{0}, freed));
    REQUIRE(LeafView(noise).entries() == 0);
  }
  Block noise;
  for (std::byte& byte : noise.payload()) byte = static_cast<std::byte>(rng());
  CHECK_FALSE(validate_leaf(noise).ok());
}
