// SPDX-License-Identifier: Apache-2.0
// Changing the tree. Everything here relies on prepare(): the blocks of the run and of its ways are
// in memory, so that reading and allocating them cannot fail; a failure is our own mistake.
#include <algorithm>
#include <cassert>

#include "btree/tree.h"

namespace csnap {

namespace {

template <class T>
T must(Result<T> result) {
  assert(result.ok() && "prepare() has not seen this block");
  return std::move(result).value();
}

// Merges what lies side by side; the order of the result is that of the store.
void merge_runs(std::vector<StoreRun>& runs, std::size_t first) {
  const auto begin = runs.begin() + static_cast<std::ptrdiff_t>(first);
  std::sort(begin, runs.end(),
            [](const StoreRun& a, const StoreRun& b) { return a.start < b.start; });
  std::size_t kept = first;
  for (std::size_t i = first; i < runs.size(); ++i) {
    if (kept > first && runs[kept - 1].end() == runs[i].start)
      runs[kept - 1].count += runs[i].count;
    else
      runs[kept++] = runs[i];
  }
  runs.resize(kept);
}

}  // namespace

BlockAddress ExceptionTree::allocate() {
  ++superblock_.tree_blocks;
  const BlockAddress address = allocator_.allocate_block();
  if (watcher_) watcher_(address, true);
  return address;
}

void ExceptionTree::release(BlockAddress address) {
  const Status ready = allocator_.prepare_free(address);
  assert(ready.ok() && "prepare() has not seen this block");
  allocator_.free_block(address);
  cache_.forget(address);
  --superblock_.tree_blocks;
  if (watcher_) watcher_(address, false);
}

// An empty leaf as the root.
void ExceptionTree::plant() {
  superblock_.tree_root = allocate();
  superblock_.tree_levels = 1;
  leaf_init(cache_.create(superblock_.tree_root, BlockKind::leaf));
}

// -- insertion
// --------------------------------------------------------------------------------------

void ExceptionTree::insert(ChunkRun run, StoreChunk store, ShareMask mask) {
  assert(run.count > 0 && mask != 0);
  if (superblock_.tree_levels == 0) plant();
  const Chunk end = run.end();
  while (run.count > 0) {
    const Path* path = nullptr;
    const LeafView leaf = must(descend(run.start, path));
    const unsigned entry = place_in(leaf, *path, run.start);
    const std::uint64_t part = std::min(end, path->keys.end()) - run.start;
    const MutableBlock block = must(cache_.edit(path->leaf, BlockKind::leaf));
    const unsigned masks = LeafView(block).masks();
    const std::uint64_t done = leaf_insert(block, {run.start, part}, store, mask, entry);
    // Whatever masks a leaf has, the nodes above it have, too.
    if (LeafView(block).masks() != masks) widen_masks(*path, mask);
    run = {run.start + done, run.count - done};
    store += done;
    if (done < part) split_leaf_for(*path, run.start);
  }
  last_insert_end_ = end;
}

// Adds the mask on the way to a leaf. Nodes that have it already stay clean.
void ExceptionTree::widen_masks(const Path& path, ShareMask mask) {
  for (unsigned d = path.depth; d-- > 0;) {
    const Step& step = path.steps[d];
    const ShareMask old =
        NodeView(must(cache_.read(step.address, BlockKind::node))).mask(step.index);
    if ((old | mask) == old) return;  // then so have the nodes above
    node_set_mask(must(cache_.edit(step.address, BlockKind::node)), step.index, old | mask);
  }
}

// Splits the leaf in the middle.
void ExceptionTree::split_leaf(const Path& path) {
  const LeafView leaf(must(cache_.read(path.leaf, BlockKind::leaf)));
  const unsigned point = leaf_split_point(leaf);
  assert(point > 0 && "one segment always fits");
  add_leaf(path, point, leaf.chunk(point), false);
}

// Splits the leaf that has no room for an insertion at `at`. If a load that goes upwards has
// arrived there, then nothing will come to what it leaves behind, and room there would be wasted:
// the leaf is cut where the load is.
void ExceptionTree::split_leaf_for(const Path& path, Chunk at) {
  const LeafView leaf(must(cache_.read(path.leaf, BlockKind::leaf)));
  const unsigned n = leaf.entries(), i = leaf.find(at);
  const bool follows = i > 0 && leaf.end(i - 1) == last_insert_end_;
  if (i == n && (follows || leaf.end(n - 1) == at || path.keys.end().value == kMaxChunks))
    add_leaf(path, n, at, true);
  else if (i < n && follows && leaf.chunk(i) > at)
    add_leaf(path, i, leaf.chunk(i), true);
  else
    split_leaf(path);
}

// Moves the entries from `point` on to a new leaf for the keys from separator on.
void ExceptionTree::add_leaf(const Path& path, unsigned point, Chunk separator, bool ascending) {
  const BlockAddress address = allocate();
  const MutableBlock right = cache_.create(address, BlockKind::leaf);
  leaf_init(right);
  const MutableBlock left = must(cache_.edit(path.leaf, BlockKind::leaf));
  if (point < LeafView(left).entries()) leaf_split(left, right, point);
  add_child(path, path.depth, {separator, address, LeafView(right).mask_union()},
            LeafView(left).mask_union(), ascending);
}

// The block below steps[depth - 1] was split: `right` is new beside it.
void ExceptionTree::add_child(const Path& path, unsigned depth, const NodeEntry& right,
                              ShareMask left_mask, bool ascending) {
  if (depth == 0) {
    assert(superblock_.tree_levels < kMaxTreeLevels);
    const BlockAddress address = allocate();
    const MutableBlock root = cache_.create(address, BlockKind::node);
    node_init(root, superblock_.tree_levels);
    node_insert(root, 0, {Chunk{0}, superblock_.tree_root, left_mask});
    node_insert(root, 1, right);
    superblock_.tree_root = address;
    ++superblock_.tree_levels;
    return;
  }
  const Step& step = path.steps[depth - 1];
  const MutableBlock node = must(cache_.edit(step.address, BlockKind::node));
  node_set_mask(node, step.index, left_mask);
  const unsigned n = NodeView(node).entries(), position = step.index + 1;
  if (n < kMaxNodeEntries) {
    node_insert(node, position, right);
    return;
  }
  const BlockAddress address = allocate();
  const MutableBlock sibling = cache_.create(address, BlockKind::node);
  node_init(sibling, NodeView(node).level());
  const unsigned half = ascending && position == n ? n : n / 2;
  node_split(node, sibling, half);
  if (position > half || half == n)
    node_insert(sibling, position - half, right);
  else
    node_insert(node, position, right);
  add_child(path, depth - 1, {NodeView(sibling).key(0), address, NodeView(sibling).mask_union()},
            NodeView(node).mask_union(), ascending);
}

// -- clearing
// ---------------------------------------------------------------------------------------

void ExceptionTree::clear(ChunkRun run, ShareMask bits, std::vector<StoreRun>& freed) {
  const std::size_t first = freed.size();
  const Chunk end = run.end();
  for (Chunk at = run.start; at < end && superblock_.tree_levels > 0;) {
    const Path* path = nullptr;
    const LeafView leaf = must(descend(at, path));
    const Chunk to = std::min(end, path->keys.end());
    const ChunkRun part{at, to - at};
    if (leaf.holds(part, bits)) {
      if (!leaf_clear(must(cache_.edit(path->leaf, BlockKind::leaf)), part, bits, freed)) {
        split_leaf(*path);
        continue;
      }
      settle(*path, end);
    }
    at = to;
  }
  merge_runs(freed, first);
}

// After the leaf lost something: gives it back if it is empty or fits into a neighbour, makes the
// masks above exact, and goes on upwards as long as that changes anything.
void ExceptionTree::settle(const Path& path, Chunk cleared_to) {
  BlockAddress child = path.leaf;
  const LeafView leaf(must(cache_.read(child, BlockKind::leaf)));
  bool empty = leaf.entries() == 0, shrunk = true;
  ShareMask mask = leaf.mask_union();
  // What is still to be cleared is not merged before: it may need the room itself.
  bool with_right = path.keys.end() >= cleared_to;
  for (unsigned d = path.depth; d-- > 0;) {
    const Step& step = path.steps[d];
    const NodeView node(must(cache_.read(step.address, BlockKind::node)));
    if (empty) {
      release(child);
      node_remove(must(cache_.edit(step.address, BlockKind::node)), step.index);
    } else {
      const bool changed = node.mask(step.index) != mask;
      if (changed)
        node_set_mask(must(cache_.edit(step.address, BlockKind::node)), step.index, mask);
      shrunk = shrunk && coalesce(step, with_right);
      if (!changed && !shrunk) break;
    }
    const NodeView after(must(cache_.read(step.address, BlockKind::node)));
    empty = after.entries() == 0;
    mask = after.mask_union();
    child = step.address;
    with_right = true;
  }
  if (empty && child == superblock_.tree_root) {
    release(child);
    superblock_.tree_levels = 0;
    superblock_.tree_root = BlockAddress{};
    return;
  }
  drop_levels();
}

// Merges the child at step.index with a neighbour under the same parent, if the result fits well.
bool ExceptionTree::coalesce(const Step& step, bool with_right) {
  if (step.index > 0 && merge_children(step.address, step.index - 1)) return true;
  const NodeView node(must(cache_.read(step.address, BlockKind::node)));
  return with_right && step.index + 1 < node.entries() && merge_children(step.address, step.index);
}

// Merges child left + 1 into child left. A neighbour that is not at hand is left alone: prepare()
// has read those that the parents had when it ran, others may have come beside it since.
bool ExceptionTree::merge_children(BlockAddress parent, unsigned left) {
  const NodeView node(must(cache_.read(parent, BlockKind::node)));
  const NodeEntry a = node.entry(left), b = node.entry(left + 1);
  if (!allocator_.prepare_free(a.child).ok() || !allocator_.prepare_free(b.child).ok())
    return false;
  ShareMask mask = 0;
  const bool merged = node.level() == 1
                          ? merge_leaves(a.child, b.child, b.key, mask)
                          : merge_nodes(a.child, b.child, node.level() - 1, b.key, mask);
  if (!merged) return false;
  release(b.child);
  const MutableBlock edited = must(cache_.edit(parent, BlockKind::node));
  node_remove(edited, left + 1);
  node_set_mask(edited, left, mask);
  return true;
}

bool ExceptionTree::merge_leaves(BlockAddress left, BlockAddress right, Chunk separator,
                                 ShareMask& mask) {
  const auto a = read_leaf(left, {Chunk{0}, separator.value});
  const auto b = read_leaf(right, {separator, kMaxChunks - separator.value});
  if (!a.ok() || !b.ok() || leaf_merged_bytes(*a, *b) > kLeafMergeLimit) return false;
  const MutableBlock edited = must(cache_.edit(left, BlockKind::leaf));
  leaf_merge(edited, *b);
  mask = LeafView(edited).mask_union();
  return true;
}

bool ExceptionTree::merge_nodes(BlockAddress left, BlockAddress right, unsigned level,
                                Chunk separator, ShareMask& mask) {
  const auto a = read_node(left, level, {Chunk{0}, separator.value});
  const auto b = read_node(right, level, {separator, kMaxChunks - separator.value});
  if (!a.ok() || !b.ok() || a->entries() + b->entries() > kNodeMergeLimit) return false;
  const MutableBlock edited = must(cache_.edit(left, BlockKind::node));
  node_merge(edited, *b, separator);
  mask = NodeView(edited).mask_union();
  return true;
}

// A root with one child gives way to it. (It may stay for a while if it is not at hand.)
void ExceptionTree::drop_levels() {
  while (superblock_.tree_levels > 1) {
    const BlockAddress root = superblock_.tree_root;
    const auto block = cache_.read(root, BlockKind::node);
    if (!block.ok() || NodeView(*block).entries() > 1) return;
    if (!allocator_.prepare_free(root).ok()) return;
    superblock_.tree_root = NodeView(*block).child(0);
    --superblock_.tree_levels;
    release(root);
  }
}

}  // namespace csnap
