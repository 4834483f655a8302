// SPDX-License-Identifier: Apache-2.0
// The exception tree: logical chunk -> the store chunks that hold it for some snapshots. A B-tree
// over the block cache; leaves and nodes are edited as bytes in memory (leaf.h, node.h), only the
// tree knows of blocks.
//
// Every operation either finds all the blocks it needs in memory or changes nothing and returns
// need_block. prepare() before a change makes sure of all of them at once.
// Threading: the engine's thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "store/block_cache.h"
#include "store/space.h"
#include "store/status.h"
#include "store/superblock.h"
#include "store/types.h"

namespace csnap {

// `store` is where the first chunk of the run in question lies; the others follow it.
struct Exception {
  StoreChunk store;
  ShareMask mask = 0;
  bool operator==(const Exception&) const = default;
};

// What is known of a run of chunks: all of them have the same exceptions, at neighbouring store
// chunks. No exceptions: the run is as on the origin for everybody.
struct Mapping {
  ChunkRun chunks;
  unsigned count = 0;                             // of exceptions
  std::array<Exception, kMaxSnapshots> exceptions;  // only the first `count` are set; by ascending mask
  ShareMask shared = 0;                           // union of their masks
  const Exception* find(ShareMask bit) const {
    for (unsigned i = 0; i < count; ++i)
      if (exceptions[i].mask & bit) return &exceptions[i];
    return nullptr;
  }
};

class ExceptionTree {
 public:
  // superblock: tree_root, tree_levels, tree_blocks are kept up to date here. Sets the
  // validators of leaves and nodes in the cache.
  ExceptionTree(BlockCache& cache, BlockAllocator& allocator, Superblock& superblock);

  // The longest run from `from`, at most `limit` (>= 1) chunks, that one Mapping describes.
  // (It may stop short of the longest at the edge of a leaf.)
  Status lookup(Chunk from, std::uint64_t limit, Mapping& out) const;

  // Everything that insert() or clear() on this run could need is in memory and ensured.
  Status prepare(ChunkRun run);
  // Adds an exception to each chunk of the run, at neighbouring store chunks.
  // REQUIRES: prepare(run) just was ok; no exception of these chunks has a bit of mask.
  void insert(ChunkRun run, StoreChunk store, ShareMask mask);
  // Takes bits out of every exception of the run; exceptions left without bits are removed, and
  // their store chunks appended to freed. Gives blocks that became empty, or fit into their neighbour, back.
  // REQUIRES: prepare(run) just was ok.
  void clear(ChunkRun run, ShareMask bits, std::vector<StoreRun>& freed);

  // The key range of the first leaf at or after `from` that holds one of these bits, clipped to
  // start at `from`; nullopt when there is none. Skips subtrees whose masks lack them without reading them.
  Result<std::optional<ChunkRun>> next_leaf_with(ShareMask bits, Chunk from) const;
  // The first mapping with an exception at or after `from` (from counts as the start of a run).
  // nullopt at the end.
  Result<std::optional<Mapping>> next_mapping(Chunk from) const;

  std::uint32_t levels() const { return superblock_.tree_levels; }

 private:
  BlockCache& cache_;
  BlockAllocator& allocator_;
  Superblock& superblock_;
};

}  // namespace csnap
