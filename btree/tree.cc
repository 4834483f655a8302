// SPDX-License-Identifier: Apache-2.0
// Finding things in the tree. Whatever a block from disk says about its place in the tree is
// checked against the way that led there: level, and keys within the range of the parent's entry.
#include "btree/tree.h"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

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

bool ExceptionTree::stands(const Path& path) const {
  return path.node_changes == cache_.node_changes() &&
         (path.depth == 0 ? path.leaf : path.steps[0].address) == superblock_.tree_root;
}

Status ExceptionTree::find_way(Chunk to, Path& path) const {
  path.keys = {};  // until it is known
  CSNAP_TRY(check_levels());
  assert(superblock_.tree_levels > 0);
  path.depth = 0;
  ChunkRun keys = kAllKeys;
  BlockAddress address = superblock_.tree_root;
  for (unsigned level = superblock_.tree_levels - 1; level > 0; --level) {
    const std::byte* block = node_at(address, level, keys);
    if (block == nullptr) return read_node(address, level, keys).status();
    const NodeView node({block, kBlockSize});
    const unsigned index = node.find(to);
    path.steps[path.depth++] = {address, index};
    keys = keys_of_child(node, index, keys);
    address = node.child(index);
  }
  path.leaf = address;
  path.keys = keys;
  path.node_changes = cache_.node_changes();
  return Status();
}

Result<LeafView> ExceptionTree::descend(Chunk to, const Path*& path) const {
  if (!ways_[way_].leads_to(to)) way_ = way_ + 1 < ways_in_use_ ? way_ + 1 : 0;
  Path& way = ways_[way_];
  path = &way;
  if (!way.leads_to(to) || !stands(way)) CSNAP_TRY(find_way(to, way));
  const std::byte* leaf = leaf_at(way.leaf, way.keys);
  if (leaf == nullptr) return read_leaf(way.leaf, way.keys).status();
  return LeafView({leaf, kBlockSize});
}

unsigned ExceptionTree::place_in(const LeafView& leaf, const Path& path, Chunk at) {
  const bool again = std::exchange(place_leaf_, path.leaf) == path.leaf;
  // In ascending order it is where the last was, or behind it if that became an entry.
  if (!again || !(leaf.is_gap(place_entry_, at) || leaf.is_gap(++place_entry_, at)))
    place_entry_ = leaf.find(at, path.keys);
  return place_entry_;
}

Status ExceptionTree::lookup(Chunk from, std::uint64_t limit, Mapping& out) const {
  assert(limit >= 1);
  if (from.value >= kMaxChunks) return Status(Code::out_of_range, "no such chunk");
  limit = std::min(limit, kMaxChunks - from.value);
  if (superblock_.tree_levels == 0) {
    describe_gap({from, limit}, out);
    return Status();
  }
  const Path* path = nullptr;
  auto leaf = descend(from, path);
  if (!leaf.ok()) return leaf.status();
  const Chunk end = std::min(from + limit, path->keys.end());
  const unsigned i = leaf->find(from, path->keys);
  if (i == leaf->entries())
    describe_gap(between(from, end), out);
  else if (leaf->chunk(i) > from)
    describe_gap(between(from, std::min(end, leaf->chunk(i))), out);
  else
    describe_segment(*leaf, i, from, end, out);
  return Status();
}

void ExceptionTree::warm(std::span<const ChunkRun> runs) const {
  if (superblock_.tree_levels > kMaxTreeLevels) return;
  // Where the last descent led is warm.
  ways_[0] = ways_[way_];
  way_ = 0;
  ways_in_use_ = 1;
  while (!runs.empty() && ways_[0].leads_to(runs[0].start)) runs = runs.subspan(1);
  if (runs.size() < 2) return;
  runs = runs.first(std::min(runs.size(), kWarmAtOnce));
  const std::span<Path> ways(ways_.data() + 1, runs.size());
  std::array<const std::byte*, kWarmAtOnce> blocks;  // null: not at hand, or not what it should be
  for (std::size_t i = 0; i < runs.size(); ++i) {
    ways[i].depth = 0;
    ways[i].leaf = superblock_.tree_root;
    ways[i].keys = kAllKeys;
    ways[i].node_changes = cache_.node_changes();
    blocks[i] = cache_.find(ways[i].leaf, BlockKind::node);
  }
  for (std::uint32_t level = superblock_.tree_levels; level-- > 1;)
    warm_level(level, runs, ways, blocks);
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (blocks[i] != nullptr) cache_.prefetch_entry(ways[i].leaf);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (blocks[i] == nullptr) continue;
    blocks[i] = cache_.peek(ways[i].leaf, BlockKind::leaf);
    if (blocks[i] != nullptr) __builtin_prefetch(blocks[i] + sizeof(BlockHeader));
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (blocks[i] == nullptr) continue;
    LeafView({blocks[i], kBlockSize}).prefetch(runs[i].start, ways[i].keys);
    if (ways_[ways_in_use_ - 1].leads_to(runs[i].start)) continue;
    if (&ways_[ways_in_use_] != &ways[i]) ways_[ways_in_use_] = ways[i];
    ++ways_in_use_;
  }
}

// One step further on each way.
void ExceptionTree::warm_level(unsigned level, std::span<const ChunkRun> runs, std::span<Path> ways,
                               std::span<const std::byte*> blocks) const {
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (blocks[i] == nullptr) continue;
    Path& way = ways[i];
    const NodeView node({blocks[i], kBlockSize});
    if (node.level() != level || !lies_within(node, way.keys)) {
      blocks[i] = nullptr;
      continue;
    }
    const unsigned index = node.find(runs[i].start);
    way.steps[way.depth++] = {way.leaf, index};
    way.keys = keys_of_child(node, index, way.keys);
    way.leaf = node.child(index);
    // There are few nodes: what the cache knows of them is near. Of leaves there are many.
    if (level == 1) {
      cache_.prefetch_place(way.leaf);
    } else {
      blocks[i] = cache_.find(way.leaf, BlockKind::node);
      if (blocks[i] != nullptr) __builtin_prefetch(blocks[i] + sizeof(BlockHeader));
    }
  }
  if (level == 1) return;
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (blocks[i] != nullptr)
      NodeView({blocks[i], kBlockSize}).prefetch(runs[i].start, ways[i].keys);
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
    const Path* path = nullptr;
    auto leaf = descend(from, path);
    if (!leaf.ok()) return leaf.status();
    const unsigned i = leaf->find(from);
    if (i < leaf->entries()) {
      std::optional<Mapping> found(std::in_place);
      describe_segment(*leaf, i, std::max(from, leaf->chunk(i)), path->keys.end(), *found);
      return found;
    }
    from = path->keys.end();
  }
  return std::optional<Mapping>();
}

}  // namespace csnap
