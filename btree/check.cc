// SPDX-License-Identifier: Apache-2.0
#include "btree/check.h"

#include <unordered_set>

#include "btree/leaf.h"
#include "btree/node.h"

namespace csnap {

namespace {

std::string hex(ShareMask mask) {
  static const char digits[] = "0123456789abcdef";
  std::string text = "0x0000000000000000";
  for (std::size_t i = text.size() - 1; mask != 0; --i, mask >>= 4) text[i] = digits[mask & 15];
  return text;
}

std::string range(ChunkRun keys) {
  return "[" + std::to_string(keys.start.value) + ", " + std::to_string(keys.end().value) + ")";
}

class Walker {
 public:
  explicit Walker(const TreeWalk& walk) : walk_(walk) {}

  // The union of masks below, as it is.
  ShareMask visit(BlockAddress address, unsigned level, ChunkRun keys) {
    if (!seen_.insert(address).second) {
      find(address, "is in the tree twice");
      return 0;
    }
    const BlockKind kind = level == 0 ? BlockKind::leaf : BlockKind::node;
    const auto read = walk_.read(address, kind);
    if (!read.ok()) {
      find(address, read.status().to_string());
      return 0;
    }
    // The callback and the children's reads may give up the cache's copy.
    const std::vector<std::byte> block(read->begin(), read->end());
    if (walk_.on_block) walk_.on_block(address, kind);
    const Status valid = level == 0 ? validate_leaf(block) : validate_node(block);
    if (!valid.ok()) {
      find(address, valid.message());
      return 0;
    }
    return level == 0 ? visit_leaf(address, LeafView(block), keys)
                      : visit_node(address, NodeView(block), level, keys);
  }

  TreeReport take() { return std::move(report_); }
  void find(BlockAddress address, std::string what) {
    report_.findings.push_back({address, std::move(what)});
  }

 private:
  ShareMask visit_leaf(BlockAddress address, LeafView leaf, ChunkRun keys) {
    ++report_.leaves;
    const unsigned n = leaf.entries();
    if (leaf.chunk(0) < keys.start || leaf.end(n - 1) > keys.end())
      find(address, "chunks outside its range " + range(keys));
    for (unsigned i = 0; i < n; ++i) {
      const LeafEntry entry = leaf.entry(i);
      ++report_.entries;
      report_.exceptions += entry.length;
      if (entry.mask & ~walk_.allowed)
        find(address, "chunk " + std::to_string(entry.chunk.value) + ": mask " + hex(entry.mask) +
                          " has bits of no snapshot (" + hex(walk_.allowed) + ")");
      if (walk_.on_exception)
        walk_.on_exception({entry.chunk, entry.length}, entry.store, entry.mask);
    }
    return leaf.mask_union();
  }

  ShareMask visit_node(BlockAddress address, NodeView node, unsigned level, ChunkRun keys) {
    ++report_.nodes;
    if (node.level() != level) {
      find(address,
           "says level " + std::to_string(node.level()) + ", is at level " + std::to_string(level));
      return 0;
    }
    const unsigned n = node.entries();
    if (node.key(0) < keys.start || node.key(n - 1) >= keys.end()) {
      find(address, "keys outside its range " + range(keys));
      return 0;
    }
    ShareMask all = 0;
    for (unsigned i = 0; i < n; ++i) {
      const Chunk from = i == 0 ? keys.start : node.key(i);
      const Chunk to = i + 1 == n ? keys.end() : node.key(i + 1);
      const std::size_t before = report_.findings.size();
      const ShareMask below = visit(node.child(i), level - 1, {from, to - from});
      // What could not be read below would only be said twice.
      if (below != node.mask(i) && report_.findings.size() == before)
        find(address, "entry " + std::to_string(i) + " says mask " + hex(node.mask(i)) +
                          ", below is " + hex(below));
      all |= below;
    }
    return all;
  }

  const TreeWalk& walk_;
  TreeReport report_;
  std::unordered_set<BlockAddress> seen_;
};

}  // namespace

std::string TreeFinding::to_string() const {
  return "tree block " + std::to_string(block.value) + ": " + what;
}

TreeReport check_tree(const Superblock& superblock, const TreeWalk& walk) {
  Walker walker(walk);
  const BlockAddress root = superblock.tree_root;
  const unsigned levels = superblock.tree_levels;
  if (levels > kMaxTreeLevels)
    walker.find(root, "the tree cannot have " + std::to_string(levels) + " levels");
  else if (levels > 0)
    walker.visit(root, levels - 1, {Chunk{0}, kMaxChunks});
  TreeReport report = walker.take();
  if (report.sound() && report.leaves + report.nodes != superblock.tree_blocks)
    report.findings.push_back(
        {root, "the superblock says " + std::to_string(superblock.tree_blocks) + " blocks, " +
                   std::to_string(report.leaves + report.nodes) + " were found"});
  return report;
}

std::function<Result<ConstBlock>(BlockAddress, BlockKind)> read_through(BlockCache& cache) {
  return [&cache](BlockAddress address, BlockKind kind) -> Result<ConstBlock> {
    auto block = cache.read(address, kind);
    if (block.ok() || block.status().code() != Code::need_block) return block;
    cache.trim();
    CSNAP_TRY(cache.fetch_sync(address));
    return cache.read(address, kind);
  };
}

}  // namespace csnap
