// SPDX-License-Identifier: Apache-2.0
#include "server/tree_scan.h"

#include <algorithm>

#include "btree/tree_format.h"

namespace csnap {
namespace {

// Nodes whose children are gathered and sorted together: 65,000 children, two megabytes.
constexpr std::size_t kNodesAtOnce = 320;
constexpr std::uint64_t kProgressEvery = 1024;

std::string range(ChunkRun keys) {
  return std::to_string(keys.start.value) + " to " + std::to_string(keys.end().value - 1);
}

}  // namespace

TreeScan::TreeScan(BlockReader& reader, const Superblock& superblock, ShareMask all,
                   TreeVisitor& visitor)
    : reader_(reader), superblock_(superblock), all_(all), visitor_(visitor) {}

void TreeScan::run(const std::function<void(std::uint64_t)>& progress) {
  progress_ = progress;
  if (superblock_.tree_levels == 0) return;
  scan({{superblock_.tree_root, BlockAddress(0), {Chunk(0), kMaxChunks}, all_}},
       superblock_.tree_levels - 1);
}

void TreeScan::advance() {
  if (++blocks_ % kProgressEvery == 0 && progress_) progress_(blocks_);
}

void TreeScan::scan(std::vector<TreeRef> refs, unsigned level) {
  if (level == 0) return scan_leaves(std::move(refs));
  for (std::size_t at = 0; at < refs.size(); at += kNodesAtOnce) {
    const std::size_t end = std::min(refs.size(), at + kNodesAtOnce);
    scan_nodes({refs.begin() + static_cast<std::ptrdiff_t>(at),
                refs.begin() + static_cast<std::ptrdiff_t>(end)},
               level);
  }
}

// Sorts by address; drops those that cannot be read, and says so.
std::vector<BlockAddress> TreeScan::order(std::vector<TreeRef>& refs, unsigned level) {
  const SpaceLayout& space = superblock_.metadata_space();
  std::erase_if(refs, [&](const TreeRef& ref) {
    if (ref.block.value >= space.reserved && ref.block.value < space.blocks) return false;
    visitor_.bad(ref, level, "lies outside of where the tree can be");
    return true;
  });
  std::sort(refs.begin(), refs.end(),
            [](const TreeRef& a, const TreeRef& b) { return a.block < b.block; });
  std::vector<BlockAddress> addresses;
  addresses.reserve(refs.size());
  for (const TreeRef& ref : refs) addresses.push_back(ref.block);
  return addresses;
}

void TreeScan::scan_leaves(std::vector<TreeRef> refs) {
  const auto addresses = order(refs, 0);
  reader_.read(addresses, BlockKind::leaf, [&](std::size_t i, const Result<ConstBlock>& block) {
    look_at_leaf(refs[i], block);
    advance();
  });
}

void TreeScan::scan_nodes(std::vector<TreeRef> refs, unsigned level) {
  const auto addresses = order(refs, level);
  std::vector<TreeRef> children;
  reader_.read(addresses, BlockKind::node, [&](std::size_t i, const Result<ConstBlock>& block) {
    look_at_node(refs[i], level, block, children);
    advance();
  });
  scan(std::move(children), level - 1);
}

void TreeScan::look_at_leaf(const TreeRef& ref, const Result<ConstBlock>& block) {
  if (!block.ok()) return visitor_.bad(ref, 0, block.status().message());
  if (const Status valid = validate_leaf(*block); !valid.ok())
    return visitor_.bad(ref, 0, valid.message());
  const LeafView leaf(*block);
  if (leaf.chunk(0) < ref.keys.start || leaf.end(leaf.entries() - 1) > ref.keys.end())
    return visitor_.bad(ref, 0,
                        "it holds chunks " + std::to_string(leaf.chunk(0).value) + " to " +
                            std::to_string(leaf.end(leaf.entries() - 1).value - 1) +
                            ", but is the leaf for " + range(ref.keys));
  visitor_.leaf(ref, leaf);
  // The root has no parent to say it.
  const ShareMask found = leaf.mask_union();
  if (found != ref.mask && ref.parent.value != 0) visitor_.wrong_mask(ref, 0, found);
}

void TreeScan::look_at_node(const TreeRef& ref, unsigned level, const Result<ConstBlock>& block,
                            std::vector<TreeRef>& children) {
  if (!block.ok()) return visitor_.bad(ref, level, block.status().message());
  if (const Status valid = validate_node(*block); !valid.ok())
    return visitor_.bad(ref, level, valid.message());
  const NodeView node(*block);
  const unsigned n = node.entries();
  if (node.level() != level)
    return visitor_.bad(ref, level,
                        "it says that it is at level " + std::to_string(node.level()) +
                            ", and is at level " + std::to_string(level));
  if (node.key(0) < ref.keys.start || node.key(n - 1) >= ref.keys.end())
    return visitor_.bad(ref, level, "it leads to chunks outside of its range, " + range(ref.keys));
  if (!nodes_.insert(ref.block).second) return visitor_.bad(ref, level, "it is in the tree twice");
  visitor_.node(ref, level);
  for (unsigned i = 0; i < n; ++i) {
    const Chunk from = i == 0 ? ref.keys.start : node.key(i);
    const Chunk to = i + 1 == n ? ref.keys.end() : node.key(i + 1);
    children.push_back({node.child(i), ref.block, {from, to - from}, node.mask(i)});
  }
  const ShareMask found = node.mask_union();
  if (found != ref.mask && ref.parent.value != 0) visitor_.wrong_mask(ref, level, found);
}

}  // namespace csnap
