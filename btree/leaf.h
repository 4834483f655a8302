// SPDX-License-Identifier: Apache-2.0
// A leaf of the exception tree as bytes in memory: reading and editing without I/O.
//
// Invariants of a leaf at rest (validate_leaf() checks them all on blocks from disk):
//   entries are sorted by chunk; entries with the same chunk have the same length and form a
//   *segment*: one exception each, by ascending mask, masks disjoint and nonzero;
//   segments do not overlap; the dictionary holds each mask in use once and no other.
// A leaf does not know its own key range; the tree does.
//
// Blocks are whole (header included); the header is not touched. Editing functions REQUIRE a block
// that is valid. One that does not fit changes nothing and says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "btree/packed.h"
#include "btree/tree_format.h"
#include "store/block_cache.h"
#include "store/status.h"
#include "store/types.h"

namespace csnap {

// One exception of one segment.
struct LeafEntry {
  Chunk chunk;
  std::uint32_t length = 0;  // chunks
  StoreChunk store;
  ShareMask mask = 0;
  Chunk end() const { return chunk + length; }
  bool operator==(const LeafEntry&) const = default;
};

class LeafView {
 public:
  explicit LeafView(ConstBlock block) : payload_(block.data() + sizeof(BlockHeader)) {}

  unsigned entries() const { return head().entries.get(); }
  unsigned masks() const { return head().masks.get(); }
  std::size_t used_bytes() const { return entries() * sizeof(DiskLeafEntry) + masks() * kMaskSize; }
  Chunk chunk(unsigned i) const { return Chunk{load48(at(i))}; }
  StoreChunk store(unsigned i) const {
    return StoreChunk{load48(at(i) + offsetof(DiskLeafEntry, store))};
  }
  std::uint32_t length(unsigned i) const { return disk(i).length_less_one.get() + 1u; }
  Chunk end(unsigned i) const { return chunk(i) + length(i); }
  unsigned mask_index(unsigned i) const { return disk(i).mask.get(); }
  ShareMask mask(unsigned i) const { return dictionary(mask_index(i)); }
  ShareMask dictionary(unsigned index) const {
    return load64(payload_ + kBlockPayload - (index + 1) * kMaskSize);
  }
  LeafEntry entry(unsigned i) const { return {chunk(i), length(i), store(i), mask(i)}; }

  // First entry of the segment that holds the chunk, else of the first segment after it;
  // entries() when there is none.
  unsigned find(Chunk key) const;
  // The same, faster when the block is not in the processor's cache: keys is the leaf's range.
  unsigned find(Chunk key, ChunkRun keys) const;
  // Asks the processor for what find() will read. Its head should be there already.
  void prefetch(Chunk key, ChunkRun keys) const;
  // First entry whose chunk is not below key.
  unsigned lower_bound(Chunk key) const;
  // Is there no exception of this chunk, and entry i (or the end) the first after it?
  bool is_gap(unsigned i, Chunk key) const {
    const unsigned n = entries();
    return i <= n && (i == 0 || end(i - 1) <= key) && (i == n || chunk(i) > key);
  }
  // First entry after, and first entry of, the segment that entry i belongs to.
  unsigned segment_end(unsigned i) const;
  unsigned segment_begin(unsigned i) const;
  // OR of all masks.
  ShareMask mask_union() const;
  // Has an exception of these chunks one of the bits?
  bool holds(ChunkRun run, ShareMask bits) const;

 private:
  unsigned lower_bound(Chunk key, ChunkRun keys) const;
  unsigned segment_near(unsigned i, Chunk key) const;
  const LeafHead& head() const { return *reinterpret_cast<const LeafHead*>(payload_); }
  const std::byte* at(unsigned i) const {
    return payload_ + sizeof(LeafHead) + i * sizeof(DiskLeafEntry);
  }
  const DiskLeafEntry& disk(unsigned i) const {
    return *reinterpret_cast<const DiskLeafEntry*>(at(i));
  }

  const std::byte* payload_;
};

// Makes it an empty leaf.
void leaf_init(MutableBlock block);

// Adds an exception to each chunk of the run, front to back as far as it fits; returns to how
// many chunks (0: not even to the first piece). A segment that the run covers in part is split at
// the run's edges; runs that continue each other are joined up to kMaxRunLength.
// REQUIRES: no exception of these chunks has a bit of mask; i is what find(run.start) says.
std::uint64_t leaf_insert(MutableBlock block, ChunkRun run, StoreChunk store, ShareMask mask,
                          unsigned i);
inline std::uint64_t leaf_insert(MutableBlock block, ChunkRun run, StoreChunk store,
                                 ShareMask mask) {
  return leaf_insert(block, run, store, mask, LeafView(block).find(run.start));
}

// Takes bits out of the exceptions of the run; appends the store runs of those left without bits to
// freed. False: the result does not fit (a segment must be split, or there are more distinct
// masks).
bool leaf_clear(MutableBlock block, ChunkRun run, ShareMask bits, std::vector<StoreRun>& freed);

// The first entry of the segment that should begin the right half. 0: there is but one segment.
unsigned leaf_split_point(LeafView leaf);
// Moves the entries from `at` on to the empty leaf `right`.
void leaf_split(MutableBlock left, MutableBlock right, unsigned at);

// Leaves are merged when the result uses no more than this, so that the next insertion does not
// split it again at once.
inline constexpr std::size_t kLeafMergeLimit = kLeafRoom * 7 / 8;
// Bytes that a leaf of both would use; more than kLeafRoom: they do not fit.
std::size_t leaf_merged_bytes(LeafView left, LeafView right);
// Adds the right leaf's entries to the left one. REQUIRES: they fit; left is wholly below right.
void leaf_merge(MutableBlock left, LeafView right);

// BlockValidator for leaves: corrupt with what is wrong.
Status validate_leaf(ConstBlock block);

}  // namespace csnap
