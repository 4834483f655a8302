// SPDX-License-Identifier: Apache-2.0
// A walk over a whole tree that takes nothing for granted: every block, every entry, every range,
// every mask. Damage is a finding; the walk goes on beside it. For the checker, tests and
// simulation. Memory: one block a level, and an address for each block seen.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "store/block_cache.h"
#include "store/status.h"
#include "store/superblock.h"
#include "store/types.h"

namespace csnap {

struct TreeFinding {
  BlockAddress block;
  std::string what;
  std::string to_string() const;
};

struct TreeReport {
  std::vector<TreeFinding> findings;
  std::uint64_t leaves = 0, nodes = 0;
  std::uint64_t entries = 0;     // of leaves
  std::uint64_t exceptions = 0;  // store chunks
  bool sound() const { return findings.empty(); }
};

struct TreeWalk {
  // Delivers the bytes of a block; verified as BlockCache does (header, checksum). The span need
  // live until the next call only.
  std::function<Result<ConstBlock>(BlockAddress, BlockKind)> read;
  ShareMask allowed = ~ShareMask{0};  // a mask with other bits is a finding
  // Called for each block of the tree, and for each exception run in order of chunk and mask; both
  // may be empty.
  std::function<void(BlockAddress, BlockKind)> on_block;
  std::function<void(ChunkRun, StoreChunk, ShareMask)> on_exception;
};

TreeReport check_tree(const Superblock& superblock, const TreeWalk& walk);

// A way to read for check_tree(): through the cache, waiting for the disk where need be.
std::function<Result<ConstBlock>(BlockAddress, BlockKind)> read_through(BlockCache& cache);

}  // namespace csnap
