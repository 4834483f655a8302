// SPDX-License-Identifier: Apache-2.0
// A walk over the whole exception tree in the order in which it lies on the disk: nodes first, then
// leaves by address, in large reads. A leaf is judged by its parent's word alone, so no order is
// needed and nothing of it is kept.
// Threading: the device's thread; blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include "btree/leaf.h"
#include "btree/node.h"
#include "server/check_reader.h"
#include "store/superblock.h"

namespace csnap {

// A block of the tree, as its parent speaks of it.
struct TreeRef {
  BlockAddress block;
  BlockAddress parent;  // 0: it is the root
  ChunkRun keys;        // that it is responsible for
  ShareMask mask = 0;   // of all that is below
};

class TreeVisitor {
 public:
  virtual ~TreeVisitor() = default;
  // A sound leaf, all of whose runs lie within its keys.
  virtual void leaf(const TreeRef& ref, LeafView leaf) = 0;
  // A sound node; its children will be visited.
  virtual void node(const TreeRef& ref, unsigned level) = 0;
  // It, and all below it, could not be reached.
  virtual void bad(const TreeRef& ref, unsigned level, const std::string& what) = 0;
  // The parent's mask is not that of the block.
  virtual void wrong_mask(const TreeRef& ref, unsigned level, ShareMask found) = 0;
};

class TreeScan {
 public:
  // all: the mask that is taken for the root's.
  TreeScan(BlockReader& reader, const Superblock& superblock, ShareMask all, TreeVisitor& visitor);
  // progress: tree blocks looked at so far. May be empty.
  void run(const std::function<void(std::uint64_t)>& progress = {});

 private:
  void scan(std::vector<TreeRef> refs, unsigned level);
  void scan_leaves(std::vector<TreeRef> refs);
  void scan_nodes(std::vector<TreeRef> refs, unsigned level);
  std::vector<BlockAddress> order(std::vector<TreeRef>& refs, unsigned level);
  void look_at_leaf(const TreeRef& ref, const Result<ConstBlock>& block);
  void look_at_node(const TreeRef& ref, unsigned level, const Result<ConstBlock>& block,
                    std::vector<TreeRef>& children);
  void advance();

  BlockReader& reader_;
  const Superblock& superblock_;
  const ShareMask all_;
  TreeVisitor& visitor_;
  std::unordered_set<BlockAddress> nodes_;  // seen
  std::function<void(std::uint64_t)> progress_;
  std::uint64_t blocks_ = 0;
};

}  // namespace csnap
