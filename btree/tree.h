// SPDX-License-Identifier: Apache-2.0
// The exception tree: logical chunk -> the store chunks that hold it for some snapshots. A B-tree
// over the block cache; leaves and nodes are edited as bytes in memory (leaf.h, node.h), only the
// tree knows of blocks.
//
// Every operation either finds all the blocks it needs in memory or changes nothing and returns
// need_block. prepare() before a change makes sure of all of them at once.
//
// The ways to the leaves used last are remembered: whoever comes for a chunk of the same leaf, or
// of the next that warm() was told of, does not pass the nodes again, as long as no node has
// changed. Threading: the engine's thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "btree/leaf.h"
#include "btree/node.h"
#include "btree/tree_format.h"
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
  unsigned count = 0;  // of exceptions
  std::array<Exception, kMaxSnapshots>
      exceptions;        // only the first `count` are set; by ascending mask
  ShareMask shared = 0;  // union of their masks
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

  // Asks the processor for the blocks that lead to these runs (the first kWarmAtOnce of them: more
  // would drive one another out), all at the same time, so that whatever is then asked of the runs,
  // or done to them, one after another, does not wait for memory each time, and remembers the ways.
  // A hint: what is not in the block cache is passed over.
  static constexpr std::size_t kWarmAtOnce = 32;
  void warm(std::span<const ChunkRun> runs) const;

  // What is about to happen to a run.
  enum class Change : std::uint8_t {
    insert,  // only insert(), of any length: reads and ensures least
    clear,   // only clear(), of any length
    both,    // clear() of any length, and insert() of at most kMaxMixedRun chunks
  };
  static constexpr std::uint64_t kMaxMixedRun = 65536;
  // Everything that the change could need is in memory and ensured. need_block, no_space, corrupt;
  // nothing is changed whatever the outcome.
  Status prepare(ChunkRun run, Change change = Change::both);
  // Adds an exception to each chunk of the run, at neighbouring store chunks.
  // REQUIRES: prepare(run) just was ok; no exception of these chunks has a bit of mask; for more
  // than kMaxMixedRun chunks it was prepare(run, Change::insert).
  void insert(ChunkRun run, StoreChunk store, ShareMask mask);
  // Takes bits out of every exception of the run; exceptions left without bits are removed, and
  // their store chunks appended to freed. Gives blocks that became empty, or fit into their
  // neighbour, back. REQUIRES: prepare(run) just was ok.
  void clear(ChunkRun run, ShareMask bits, std::vector<StoreRun>& freed);

  // The key range of the first leaf at or after `from` that holds one of these bits, clipped to
  // start at `from`; nullopt when there is none. Skips subtrees whose masks lack them without
  // reading them.
  Result<std::optional<ChunkRun>> next_leaf_with(ShareMask bits, Chunk from) const;
  // The first mapping with an exception at or after `from` (from counts as the start of a run).
  // nullopt at the end.
  Result<std::optional<Mapping>> next_mapping(Chunk from) const;

  // Told of every block that becomes, or no longer is, part of the tree; empty: nobody.
  void watch(std::function<void(BlockAddress, bool added)> watcher) {
    watcher_ = std::move(watcher);
  }

  std::uint32_t levels() const { return superblock_.tree_levels; }

 private:
  // A node passed on the way to a leaf.
  struct Step {
    BlockAddress address;
    unsigned index = 0;  // of the entry taken
  };
  // The way to a leaf.
  struct Path {
    std::array<Step, kMaxTreeLevels> steps;
    unsigned depth = 0;  // steps in use: the root first
    BlockAddress leaf;
    ChunkRun keys;                   // that are the leaf's
    std::uint64_t node_changes = 0;  // of the cache when it was gone
    bool leads_to(Chunk chunk) const { return keys.start <= chunk && chunk < keys.end(); }
  };
  // What a change may cost.
  struct Growth {
    std::uint64_t blocks = 0;    // to allocate
    std::uint64_t siblings = 0;  // entries that come into the parent
    std::uint64_t splits = 0;    // of leaves
    std::uint64_t entries = 0;   // that an insertion adds to leaves
    void add(const Growth& other) {
      blocks += other.blocks;
      siblings += other.siblings;
      splits += other.splits;
      entries += other.entries;
    }
  };

  // -- tree.cc: finding ------------------------------------------------------------------------
  // Reads a block and checks that it is what it should be at this place.
  Result<NodeView> read_node(BlockAddress address, unsigned level, ChunkRun keys) const;
  Result<LeafView> read_leaf(BlockAddress address, ChunkRun keys) const;
  // The same at once; null: the other says why not.
  const std::byte* node_at(BlockAddress address, unsigned level, ChunkRun keys) const;
  const std::byte* leaf_at(BlockAddress address, ChunkRun keys) const;
  Status check_levels() const;
  // Would it be gone the same again? Then all its nodes are in memory, too.
  bool stands(const Path& path) const;
  // To the leaf responsible for a chunk, by way of the nodes.
  Status find_way(Chunk to, Path& path) const;
  // The leaf responsible for a chunk, the remembered way if there is one. The path stays until the
  // next descent, or warm().
  Result<LeafView> descend(Chunk to, const Path*& path) const;
  // What the leaf's find() says of a chunk at which something is to be inserted.
  unsigned place_in(const LeafView& leaf, const Path& path, Chunk at);
  void warm_level(unsigned level, std::span<const ChunkRun> runs, std::span<Path> ways,
                  std::span<const std::byte*> blocks) const;
  Result<std::optional<ChunkRun>> find_bits(BlockAddress address, unsigned level, ChunkRun keys,
                                            ShareMask bits, Chunk from) const;

  // -- prepare.cc ------------------------------------------------------------------------------
  // Is there room for an insertion in the leaf of the run's first chunk, and no other is concerned?
  // Status: as of prepare().
  Result<bool> prepare_in_leaf(ChunkRun run);
  Result<Growth> prepare_below(BlockAddress address, unsigned level, ChunkRun keys, ChunkRun run,
                               Change change);
  Result<Growth> prepare_children(const NodeView& node, ChunkRun keys, ChunkRun run, Change change);
  Status prepare_neighbour(const NodeView& node, unsigned index, ChunkRun keys);

  // -- edit.cc: changing -----------------------------------------------------------------------
  BlockAddress allocate();
  void release(BlockAddress address);
  void plant();
  void widen_masks(const Path& path, ShareMask mask);
  void split_leaf(const Path& path);
  void split_leaf_for(const Path& path, Chunk at);
  void add_leaf(const Path& path, unsigned point, Chunk separator, bool ascending);
  void add_child(const Path& path, unsigned depth, const NodeEntry& right, ShareMask left_mask,
                 bool ascending);
  void settle(const Path& path, Chunk cleared_to);
  bool coalesce(const Step& parent, bool with_right);
  bool merge_children(BlockAddress parent, unsigned left);
  bool merge_leaves(BlockAddress left, BlockAddress right, Chunk separator, ShareMask& mask);
  bool merge_nodes(BlockAddress left, BlockAddress right, unsigned level, Chunk separator,
                   ShareMask& mask);
  void drop_levels();

  BlockCache& cache_;
  BlockAllocator& allocator_;
  Superblock& superblock_;
  std::function<void(BlockAddress, bool)> watcher_;
  // The ways gone last, in the order in which warm() was told of them, and which of them was used
  // last: what comes next is expected there or at the next.
  mutable std::array<Path, kWarmAtOnce + 1> ways_{};
  mutable std::size_t way_ = 0, ways_in_use_ = 1;
  // Where an insertion was looked for last.
  BlockAddress place_leaf_;
  unsigned place_entry_ = 0;
  Chunk last_insert_end_;  // tells an ascending load from a random one
};

}  // namespace csnap
