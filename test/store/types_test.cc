// SPDX-License-Identifier: Apache-2.0
#include "store/types.h"

#include <catch2/catch.hpp>
#include <concepts>
#include <set>
#include <type_traits>
#include <unordered_set>

using namespace csnap;

static_assert(!std::is_convertible_v<std::uint64_t, Chunk>);
static_assert(!std::is_convertible_v<Chunk, std::uint64_t>);
static_assert(!std::is_constructible_v<Chunk, StoreChunk>);
static_assert(!std::equality_comparable_with<Chunk, StoreChunk>);

TEST_CASE("numbers of one kind count and compare") {
  Chunk chunk{7};
  CHECK(chunk + 3 == Chunk{10});
  CHECK(chunk - 3 == Chunk{4});
  CHECK(Chunk{10} - chunk == 3);
  CHECK(chunk < Chunk{8});
  CHECK(++chunk == Chunk{8});
  chunk += 4;
  CHECK(chunk.value == 12);
  CHECK(Chunk{}.value == 0);
}

TEST_CASE("a run holds its chunks from the first to before its end") {
  const ChunkRun run{Chunk{10}, 5};
  CHECK(run.end() == Chunk{15});
  CHECK_FALSE(run.contains(Chunk{9}));
  CHECK(run.contains(Chunk{10}));
  CHECK(run.contains(Chunk{14}));
  CHECK_FALSE(run.contains(Chunk{15}));
}

TEST_CASE("neighbouring runs do not overlap") {
  const ChunkRun run{Chunk{10}, 5};
  CHECK_FALSE(run.overlaps({Chunk{15}, 1}));
  CHECK_FALSE(run.overlaps({Chunk{5}, 5}));
  CHECK(run.overlaps({Chunk{14}, 1}));
  CHECK(run.overlaps({Chunk{5}, 6}));
  CHECK(run.overlaps({Chunk{0}, 100}));
  CHECK(run.overlaps({Chunk{12}, 1}));
}

TEST_CASE("each bit of a share mask is another snapshot's") {
  std::set<ShareMask> masks;
  ShareMask all = 0;
  for (unsigned bit = 0; bit < kMaxSnapshots; ++bit) {
    masks.insert(mask_of_bit(bit));
    all |= mask_of_bit(bit);
  }
  CHECK(masks.size() == 64);
  CHECK(all == ~ShareMask{0});
}

TEST_CASE("the hash of neighbours differs in its low bits") {
  std::unordered_set<std::size_t> low;
  for (std::uint64_t i = 0; i < 1024; ++i) low.insert(std::hash<Chunk>()(Chunk{i}) % 1024);
  CHECK(low.size() > 512);
}
