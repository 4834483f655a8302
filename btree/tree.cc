// SPDX-License-Identifier: Apache-2.0
// Finding things in the tree. Whatever a block from disk says about its place in the tree is
// checked against the way that led there: level, and keys within the range of the parent's entry.
#include "btree/tree.h"

#include <algorithm>
#include <cassert>
#include <string>

namespace csnap {

namespace {

constexpr ChunkRun kAllKeys{Chunk{0}, kMaxChunks};

Status misplaced(BlockAddress address, const char* what) {
  return Status(Code::corrupt, "tree block " + std::to_string(address.value) + ": " + what);
}

ChunkRun between(Chunk from, Chunk to) {
  return {from, to - from};
}

bool lies_within(const NodeView& node, ChunkRun keys) {
  return node.key(0) >= keys.start && node.key(node.entries() - 1) < keys.end();
}

// Only in the middle of an insertion is a leaf empty.
bool lies_within(const LeafView& leaf, ChunkRun keys) {
  const unsigned n = leaf.entries();
  return n == 0 || (leaf.chunk(0) >= keys.start && leaf.end(n - 1) <= keys.end());
}

// The keys of child i of a node that has these keys.
ChunkRun keys_of_child(const NodeView& node, unsigned i, ChunkRun keys) {
  const Chunk from = i == 0 ? keys.start : node.key(i);
  const Chunk to = i + 1 == node.entries() ? keys.end() : node.key(i + 1);
  return between(from, to);
}

void describe_gap(ChunkRun run, Mapping& out) {
  out.chunks = run;
  out.count = 0;
  out.shared = 0;
}

// The segment that begins with entry i, from `from` on and no further than `end`.
void describe_segment(const LeafView& leaf, unsigned i, Chunk from, Chunk end, Mapping& out) {
  const Chunk chunk = leaf.chunk(i);
  const std::uint64_t skip = from - chunk;
  out.chunks = between(from, std::min(end, leaf.end(i)));
  out.count = 0;
  out.shared = 0;
  // Blocks that passed their validator have at most as many disjoint masks as there are bits.
  for (const unsigned n = leaf.entries(); i < n && leaf.chunk(i) == chunk; ++i) {
    Exception& exception = out.exceptions[out.count++];
    exception.store = leaf.store(i) + skip;
    exception.mask = leaf.mask(i);
    out.shared |= exception.mask;
  }
}

}  // namespace

ExceptionTree::ExceptionTree(BlockCache& cache, BlockAllocator& allocator, Superblock& superblock)
    : cache_(cache), allocator_(allocator), superblock_(superblock) {
  cache_.set_validator(BlockKind::leaf, validate_leaf);
  cache_.set_validator(BlockKind::node, validate_node);
}

Result<NodeView> ExceptionTree::read_node(BlockAddress address, unsigned level,
                                          ChunkRun keys) const {
  auto block = cache_.read(address, BlockKind::node);
  if (!block.ok()) return block.status();
  const NodeView node(*block);
  if (node.level() != level) return misplaced(address, "a node of another level");
  if (!lies_within(node, keys))
    return misplaced(address, "keys outside the range of its parent's entry");
  return node;
}

Result<LeafView> ExceptionTree::read_leaf(BlockAddress address, ChunkRun keys) const {
  auto block = cache_.read(address, BlockKind::leaf);
  if (!block.ok()) return block.status();
  const LeafView leaf(*block);
  if (!lies_within(leaf, keys))
    return misplaced(address, "chunks outside the range of its parent's entry");
  return leaf;
}

const std::byte* ExceptionTree::node_at(BlockAddress address, unsigned level, ChunkRun keys) const {
  const std::byte* block = cache_.find(address, BlockKind::node);
  if (block == nullptr) return nullptr;
  const NodeView node({block, kBlockSize});
  return node.level() == level && lies_within(node, keys) ? block : nullptr;
}

const std::byte* ExceptionTree::leaf_at(BlockAddress address, ChunkRun keys) const {
  const std::byte* block = cache_.find(address, BlockKind::leaf);
  if (block == nullptr) return nullptr;
  return lies_within(LeafView({block, kBlockSize}), keys) ? block : nullptr;
}

Status ExceptionTree::check_levels() const {
  if (superblock_.tree_levels <= kMaxTreeLevels) return Status();
  return Status(Code::corrupt,
                "the tree cannot have " + std::to_string(superblock_.tree_levels) + " levels");
}

ExceptionTree::Trail& ExceptionTree::trail_to(Chunk chunk) const {
  if (!trails_[trail_].leads_to(chunk)) trail_ = trail_ + 1 < trails_in_use_ ? trail_ + 1 : 0;
  return trails_[trail_];
}

Result<LeafView> ExceptionTree::descend(Chunk to, Path& path) const {
  CSNAP_TRY(check_levels());
  assert(superblock_.tree_levels > 0);
  Trail& trail = trail_to(to);
  const bool known = trail.leads_to(to);
  path.depth = 0;
  path.keys = kAllKeys;
  BlockAddress address = superblock_.tree_root;
  for (unsigned level = superblock_.tree_levels - 1; level > 0; --level) {
    const std::byte* block = node_at(address, level, path.keys);
    if (block == nullptr) return read_node(address, level, path.keys).status();
    const NodeView node({block, kBlockSize});
    unsigned index = trail.index[level];
    if (!known || !node.leads(index, to)) index = node.find(to);
    trail.index[level] = static_cast<std::uint8_t>(index);
    path.steps[path.depth++] = {address, index};
    path.keys = keys_of_child(node, index, path.keys);
    address = node.child(index);
  }
  path.leaf = address;
  trail.keys = path.keys;
  const std::byte* leaf = leaf_at(address, path.keys);
  if (leaf == nullptr) return read_leaf(address, path.keys).status();
  return LeafView({leaf, kBlockSize});
}

Status ExceptionTree::lookup(Chunk from, std::uint64_t limit, Mapping& out) const {
  assert(limit >= 1);
  if (from.value >= kMaxChunks) return Status(Code::out_of_range, "no such chunk");
  limit = std::min(limit, kMaxChunks - from.value);
  if (superblock_.tree_levels == 0) {
    describe_gap({from, limit}, out);
    return Status();
  }
  Path path;
  auto leaf = descend(from, path);
  if (!leaf.ok()) return leaf.status();
  const Chunk end = std::min(from + limit, path.keys.end());
  const unsigned i = leaf->find(from, path.keys);
  if (i == leaf->entries())
    describe_gap(between(from, end), out);
  else if (leaf->chunk(i) > from)
    describe_gap(between(from, std::min(end, leaf->chunk(i))), out);
  else
    describe_segment(*leaf, i, from, end, out);
  return Status();
}

// Nothing that blocks say of their place is relied upon here: a wrong way is as long as a right
// one.
void ExceptionTree::warm(std::span<const ChunkRun> runs) const {
  if (superblock_.tree_levels > kMaxTreeLevels) return;
  // Where the last search went is warm.
  while (!runs.empty() && trails_[trail_].leads_to(runs[0].start)) runs = runs.subspan(1);
  if (runs.size() < 2) return;
  runs = runs.first(std::min(runs.size(), kWarmAtOnce));
  struct Way {
    Chunk to;
    Trail trail;
    BlockAddress address;
    const std::byte* block;  // null: not at hand
  };
  std::array<Way, kWarmAtOnce> space;
  const std::span<Way> ways(space.data(), runs.size());
  const BlockAddress root = superblock_.tree_root;
  for (std::size_t i = 0; i < runs.size(); ++i)
    ways[i] = {runs[i].start, {kAllKeys, {}}, root, cache_.peek(root, BlockKind::node)};
  // There are few nodes: what the cache knows of them is near. Of leaves there are many.
  for (std::uint32_t level = superblock_.tree_levels; level-- > 1;) {
    for (Way& way : ways) {
      if (way.block == nullptr) continue;
      const NodeView node({way.block, kBlockSize});
      const unsigned index = node.find(way.to);
      way.trail.index[level] = static_cast<std::uint8_t>(index);
      way.trail.keys = keys_of_child(node, index, way.trail.keys);
      way.address = node.child(index);
      if (level == 1) {
        cache_.prefetch_place(way.address);
      } else {
        way.block = cache_.peek(way.address, BlockKind::node);
        if (way.block != nullptr) __builtin_prefetch(way.block + sizeof(BlockHeader));
      }
    }
    for (const Way& way : ways)
      if (level > 1 && way.block != nullptr)
        NodeView({way.block, kBlockSize}).prefetch(way.to, way.trail.keys);
  }
  std::swap(trails_[0], trails_[trail_]);
  trail_ = 0;
  trails_in_use_ = 1;
  for (const Way& way : ways)
    if (way.block != nullptr && !trails_[trails_in_use_ - 1].leads_to(way.to))
      trails_[trails_in_use_++] = way.trail;
  for (const Way& way : ways) cache_.prefetch_entry(way.address);
  for (Way& way : ways) {
    way.block = cache_.peek(way.address, BlockKind::leaf);
    if (way.block != nullptr) __builtin_prefetch(way.block + sizeof(BlockHeader));
  }
  for (const Way& way : ways)
    if (way.block != nullptr) LeafView({way.block, kBlockSize}).prefetch(way.to, way.trail.keys);
}

// Searches the children of a node whose keys these are; a node's masks are enough to pass by.
Result<std::optional<ChunkRun>> ExceptionTree::find_bits(BlockAddress address, unsigned level,
                                                         ChunkRun keys, ShareMask bits,
                                                         Chunk from) const {
  auto node = read_node(address, level, keys);
  if (!node.ok()) return node.status();
  for (unsigned i = node->find(from), n = node->entries(); i < n; ++i) {
    if ((node->mask(i) & bits) == 0) continue;
    const ChunkRun child = keys_of_child(*node, i, keys);
    const Chunk start = std::max(from, child.start);
    if (level == 1) return std::optional(between(start, child.end()));
    auto found = find_bits(node->child(i), level - 1, child, bits, start);
    if (!found.ok() || found->has_value()) return found;
  }
  return std::optional<ChunkRun>();
}

Result<std::optional<ChunkRun>> ExceptionTree::next_leaf_with(ShareMask bits, Chunk from) const {
  CSNAP_TRY(check_levels());
  const std::uint32_t levels = superblock_.tree_levels;
  if (levels == 0 || from.value >= kMaxChunks) return std::optional<ChunkRun>();
  if (levels > 1) return find_bits(superblock_.tree_root, levels - 1, kAllKeys, bits, from);
  auto leaf = read_leaf(superblock_.tree_root, kAllKeys);
  if (!leaf.ok()) return leaf.status();
  if ((leaf->mask_union() & bits) == 0) return std::optional<ChunkRun>();
  return std::optional(between(from, kAllKeys.end()));
}

Result<std::optional<Mapping>> ExceptionTree::next_mapping(Chunk from) const {
  if (superblock_.tree_levels == 0) return std::optional<Mapping>();
  while (from.value < kMaxChunks) {
    Path path;
    auto leaf = descend(from, path);
    if (!leaf.ok()) return leaf.status();
    const unsigned i = leaf->find(from);
    if (i < leaf->entries()) {
      std::optional<Mapping> found(std::in_place);
      describe_segment(*leaf, i, std::max(from, leaf->chunk(i)), path.keys.end(), *found);
      return found;
    }
    from = path.keys.end();
  }
  return std::optional<Mapping>();
}

}  // namespace csnap
