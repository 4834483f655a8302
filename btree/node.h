// SPDX-License-Identifier: Apache-2.0
// An index node of the exception tree as bytes in memory: reading and editing without I/O.
//
// Entry i leads to the child for the keys from key(i) up to key(i + 1). The first key is not
// compared: keys below it belong to the first child too, and what bounds them from below is the
// node's parent. Keys ascend strictly; children are never 0; masks are the exact OR of what is
// below. Blocks are whole (header included); the header is not touched.
#pragma once

#include <cstddef>
#include <cstdint>

#include "btree/packed.h"
#include "btree/tree_format.h"
#include "store/block_cache.h"
#include "store/status.h"
#include "store/types.h"

namespace csnap {

struct NodeEntry {
  Chunk key;
  BlockAddress child;
  ShareMask mask = 0;
  bool operator==(const NodeEntry&) const = default;
};

class NodeView {
 public:
  explicit NodeView(ConstBlock block) : payload_(block.data() + sizeof(BlockHeader)) {}

  unsigned entries() const { return head().entries.get(); }
  unsigned level() const { return head().level.get(); }
  Chunk key(unsigned i) const { return Chunk{load48(at(i))}; }
  BlockAddress child(unsigned i) const {
    return BlockAddress{load48(at(i) + offsetof(DiskNodeEntry, child))};
  }
  ShareMask mask(unsigned i) const { return load64(at(i) + offsetof(DiskNodeEntry, mask)); }
  NodeEntry entry(unsigned i) const { return {key(i), child(i), mask(i)}; }

  // The entry whose child is responsible for the key. REQUIRES: there are entries.
  unsigned find(Chunk key) const;
  // Asks the processor for what find() will read. Its head should be there already.
  void prefetch(Chunk key, ChunkRun keys) const;
  ShareMask mask_union() const;

 private:
  const NodeHead& head() const { return *reinterpret_cast<const NodeHead*>(payload_); }
  const std::byte* at(unsigned i) const {
    return payload_ + sizeof(NodeHead) + i * sizeof(DiskNodeEntry);
  }

  const std::byte* payload_;
};

// Makes it an empty node.
void node_init(MutableBlock block, unsigned level);
// Puts the entry before entry i. REQUIRES: there is room and the order of keys is kept.
void node_insert(MutableBlock block, unsigned i, const NodeEntry& entry);
// Takes entry i out; its keys fall to the entry before it, or to the one after it if it is the
// first.
void node_remove(MutableBlock block, unsigned i);
// Writes entry i anew. REQUIRES: the order of keys is kept.
void node_replace(MutableBlock block, unsigned i, const NodeEntry& entry);
void node_set_mask(MutableBlock block, unsigned i, ShareMask mask);
// Moves the entries from `at` on to the empty node `right`.
void node_split(MutableBlock left, MutableBlock right, unsigned at);
// Nodes are merged when the result has no more entries than this.
inline constexpr unsigned kNodeMergeLimit = kMaxNodeEntries * 7 / 8;
// Adds the right node's entries to the left one; separator is the right one's key in their parent.
// REQUIRES: they fit.
void node_merge(MutableBlock left, NodeView right, Chunk separator);

// BlockValidator for nodes: corrupt with what is wrong.
Status validate_node(ConstBlock block);

}  // namespace csnap
