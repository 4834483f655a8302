// SPDX-License-Identifier: Apache-2.0
// Bitmaps against what the tree uses.
// Threading: the device's thread; blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/tree_facts.h"
#include "store/superblock.h"

namespace csnap {

struct SpaceFacts {
  using Range = std::pair<std::uint64_t, std::uint64_t>;  // blocks of the space, half-open
  struct BadBitmap {
    BlockAddress block;
    std::string what;
  };
  std::vector<BadBitmap> bad;
  std::vector<Range> missing;  // in use, and counted as free: the first of them
  std::vector<Range> leaked;   // used by nobody, and not free: the first of them
  std::vector<Range> shared;   // by the tree's own blocks and an exception: the first of them
  std::uint64_t missing_blocks = 0, leaked_blocks = 0, shared_blocks = 0;
  std::uint64_t free_blocks = 0, free_chunks = 0;  // by the bitmaps
  std::uint64_t not_ready = 0;  // blocks in use under bitmap blocks never written
  // By number, ascending, for repair: bitmap blocks that differ, were never written and should be,
  // cannot be read.
  std::vector<std::uint64_t> differing, unwritten, unreadable;
};

// The bits that the blocks under one bitmap block should have. For check and repair.
class ExpectedBits {
 public:
  // data: exceptions lie here; tree: the tree's blocks do.
  ExpectedBits(const SpaceLayout& space, const TreeFacts& facts, bool data, bool tree)
      : space_(space), facts_(facts), data_(data), tree_(tree) {}
  // bits: kBlockPayload bytes. Calls shared(block) for a block of the tree where an exception is.
  void fill(std::uint64_t group, std::span<std::byte> bits,
            const std::function<void(std::uint64_t)>& shared) const;

 private:
  const SpaceLayout& space_;
  const TreeFacts& facts_;
  const bool data_, tree_;
};

// data, tree: as above.
SpaceFacts check_space(BlockReader& reader, const SpaceLayout& space, const TreeFacts& facts,
                       bool data, bool tree,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace csnap
