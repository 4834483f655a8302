// SPDX-License-Identifier: Apache-2.0
// What must be so before a change: every block it may touch is in memory, and as many blocks as it
// may take are ensured. The bounds are worst cases, but none when the change fits as things are.
#include <algorithm>
#include <cassert>

#include "btree/tree.h"

namespace csnap {

namespace {

// What an insertion into the keys of one leaf comes to: pieces are the gaps (in runs that an entry
// can hold) and segments that it covers; cuts are entries that splitting a segment at the run's
// edges adds.
struct Shape {
  std::uint64_t pieces = 0;
  std::uint64_t cuts = 0;
};

std::uint64_t entries_of_gap(Chunk from, Chunk to) {
  return (to - from + kMaxRunLength - 1) / kMaxRunLength;
}

// i is what the leaf's find() says of the run's start.
Shape shape_of(const LeafView& leaf, ChunkRun run, unsigned i) {
  Shape shape;
  Chunk at = run.start;
  for (const unsigned n = leaf.entries(); i < n && leaf.chunk(i) < run.end();) {
    const unsigned next = leaf.segment_end(i);
    if (leaf.chunk(i) > at) shape.pieces += entries_of_gap(at, leaf.chunk(i));
    if (leaf.chunk(i) < run.start) shape.cuts += next - i;
    if (leaf.end(i) > run.end()) shape.cuts += next - i;
    shape.pieces += 1;
    at = std::max(at, leaf.end(i));
    i = next;
  }
  if (at < run.end()) shape.pieces += entries_of_gap(at, run.end());
  return shape;
}

// A split leaves at most (n + 64) / 2 of n entries on a side. From that follows how many splits it
// takes until something fits (docs/format/tree.md has the sums):
constexpr std::uint64_t kSplitsToCutAndInsert = 3;  // a segment of 63 in three, and one more
constexpr std::uint64_t kSplitsToClear = 5;         // as many cuts, and every mask a new one
constexpr std::uint64_t kSplitsForLoad = 2;  // where an ascending load is, twice at most in a run
constexpr std::uint64_t kLeastMovedBySplit = 19;  // entries, when an insertion made it necessary

bool inserts(ChunkRun run, ExceptionTree::Change change) {
  return change == ExceptionTree::Change::insert ||
         (change == ExceptionTree::Change::both && run.count <= ExceptionTree::kMaxMixedRun);
}

// How often a leaf with these keys may have to be split, for the part of a run that falls to it.
std::uint64_t splits_of_leaf(const LeafView& leaf, const Shape& shape, bool inserting,
                             bool clearing) {
  const std::uint64_t n = leaf.entries(), masks = leaf.masks();
  std::uint64_t added = 0, more_masks = 0;
  if (inserting || clearing) added += shape.cuts;
  if (inserting) added += shape.pieces, more_masks += 1;
  if (clearing) more_masks += masks;
  const std::uint64_t most_masks = std::min(masks + more_masks, n + added);
  if ((n + added) * sizeof(DiskLeafEntry) + most_masks * kMaskSize <= kLeafRoom) return 0;

  std::uint64_t splits = 0;
  if (clearing) splits += shape.cuts > 0 ? kSplitsToClear : 1;
  if (inserting)
    splits +=
        kSplitsForLoad + std::min(shape.pieces + (shape.cuts > 0 ? kSplitsToCutAndInsert - 1 : 0),
                                  (n + added) / kLeastMovedBySplit + 1);
  return splits;
}

// Blocks for a tree that grows above its root: `children` are all the root's, old and new.
std::uint64_t blocks_above(std::uint64_t children) {
  std::uint64_t blocks = 0;
  while (children > 1) {
    children = children <= kMaxNodeEntries ? 1 : children / (kMaxNodeEntries / 2) + 1;
    blocks += children;
  }
  return blocks;
}

// clear() may merge blocks, and drop a level, before an insertion into the same run, or clear()
// itself further on, has to split one of them: what that may cost beside what the leaves say as
// they are.
std::uint64_t blocks_after_merges(std::uint64_t splits, std::uint64_t entries,
                                  std::uint64_t levels) {
  constexpr std::uint64_t kLeafSlack = (kLeafRoom - kLeafMergeLimit) / sizeof(DiskLeafEntry) - 3;
  constexpr std::uint64_t kNodeSlack = kMaxNodeEntries - kNodeMergeLimit;
  std::uint64_t blocks = 0;
  if (entries >= kLeafSlack) {
    const std::uint64_t more = entries / kLeafSlack + kSplitsToCutAndInsert;
    blocks += more;
    splits += more;
  }
  if (splits > 0) blocks += 1;  // a root again
  if (splits >= kNodeSlack) blocks += levels * (splits / kNodeSlack + 1);
  return blocks;
}

}  // namespace

Status ExceptionTree::prepare(ChunkRun run, Change change) {
  assert(run.count > 0);
  if (run.start.value >= kMaxChunks || run.count > kMaxChunks - run.start.value)
    return Status(Code::out_of_range, "no such chunks");
  CSNAP_TRY(check_levels());
  if (change == Change::insert && superblock_.tree_levels > 0) {
    const auto fits = prepare_in_leaf(run);
    if (!fits.ok()) return fits.status();
    if (*fits) return Status();
  }
  std::uint64_t blocks = 0;
  if (superblock_.tree_levels == 0) {
    if (!inserts(run, change)) return Status();
    const std::uint64_t leaves = entries_of_gap(run.start, run.end()) / (kMaxLeafEntries / 2) + 1;
    blocks = leaves + blocks_above(leaves);
  } else {
    const std::uint32_t levels = superblock_.tree_levels;
    auto growth =
        prepare_below(superblock_.tree_root, levels - 1, {Chunk{0}, kMaxChunks}, run, change);
    if (!growth.ok()) return growth.status();
    blocks = growth->blocks + blocks_above(growth->siblings + 1);
    if (change != Change::insert)
      blocks += blocks_after_merges(growth->splits, growth->entries, levels);
  }
  return blocks > 0 ? allocator_.ensure(blocks) : Status();
}

Result<bool> ExceptionTree::prepare_in_leaf(ChunkRun run) {
  const Path* path = nullptr;
  const auto leaf = descend(run.start, path);
  if (!leaf.ok()) return leaf.status();
  if (run.end() > path->keys.end()) return false;
  const Shape shape = shape_of(*leaf, run, place_in(*leaf, *path, run.start));
  return splits_of_leaf(*leaf, shape, true, false) == 0;
}

Result<ExceptionTree::Growth> ExceptionTree::prepare_below(BlockAddress address, unsigned level,
                                                           ChunkRun keys, ChunkRun run,
                                                           Change change) {
  if (change != Change::insert) CSNAP_TRY(allocator_.prepare_free(address));
  if (level == 0) {
    auto leaf = read_leaf(address, keys);
    if (!leaf.ok()) return leaf.status();
    const Shape shape = shape_of(*leaf, run, leaf->find(run.start, keys));
    const bool inserting = inserts(run, change);
    // A leaf that is cleared from end to end only loses entries and masks.
    const bool clearing = change != Change::insert && run.count < keys.count;
    const std::uint64_t splits = splits_of_leaf(*leaf, shape, inserting, clearing);
    return Growth{splits, splits, splits, inserting ? shape.pieces + shape.cuts : 0};
  }
  auto node = read_node(address, level, keys);
  if (!node.ok()) return node.status();
  auto growth = prepare_children(*node, keys, run, change);
  if (!growth.ok()) return growth;
  const std::uint64_t entries = node->entries() + growth->siblings;
  growth->siblings = entries <= kMaxNodeEntries ? 0 : entries / (kMaxNodeEntries / 2);
  growth->blocks += growth->siblings;
  return growth;
}

// `run` lies within `keys`.
Result<ExceptionTree::Growth> ExceptionTree::prepare_children(const NodeView& node, ChunkRun keys,
                                                              ChunkRun run, Change change) {
  Growth growth;
  const unsigned first = node.find(run.start), n = node.entries();
  unsigned i = first;
  for (Chunk at = run.start; at < run.end(); ++i) {
    const Chunk end = i + 1 == n ? keys.end() : node.key(i + 1);
    const Chunk begin = i == 0 ? keys.start : node.key(i);
    const Chunk to = std::min(end, run.end());
    auto one =
        prepare_below(node.child(i), node.level() - 1, {begin, end - begin}, {at, to - at}, change);
    if (!one.ok()) return one;
    growth.add(*one);
    at = to;
  }
  if (change == Change::insert) return growth;
  if (first > 0) CSNAP_TRY(prepare_neighbour(node, first - 1, keys));
  if (i < n) CSNAP_TRY(prepare_neighbour(node, i, keys));
  return growth;
}

// A block that clear() may merge with the one beside it.
Status ExceptionTree::prepare_neighbour(const NodeView& node, unsigned index, ChunkRun keys) {
  const Chunk begin = index == 0 ? keys.start : node.key(index);
  const Chunk end = index + 1 == node.entries() ? keys.end() : node.key(index + 1);
  const ChunkRun child{begin, end - begin};
  CSNAP_TRY(node.level() == 1 ? read_leaf(node.child(index), child).status()
                              : read_node(node.child(index), node.level() - 1, child).status());
  return allocator_.prepare_free(node.child(index));
}

}  // namespace csnap
