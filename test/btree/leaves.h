// SPDX-License-Identifier: Apache-2.0
// Leaves for the tests of leaves.
#pragma once

#include <catch2/catch.hpp>

#include "btree/leaf.h"
#include "test/btree/block.h"

namespace csnap::test {

constexpr ChunkRun run(std::uint64_t start, std::uint64_t count) {
  return {Chunk{start}, count};
}

inline Block empty_leaf() {
  Block block;
  leaf_init(block);
  return block;
}

inline void insert(Block& block, ChunkRun chunks, std::uint64_t store, ShareMask mask) {
  REQUIRE(leaf_insert(block, chunks, StoreChunk{store}, mask) == chunks.count);
}

}  // namespace csnap::test
