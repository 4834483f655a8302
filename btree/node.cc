// SPDX-License-Identifier: Apache-2.0
#include "btree/node.h"

#include <cassert>
#include <cstring>
#include <string>

#include "btree/key_search.h"

namespace csnap {

namespace {

NodeHead& head_of(MutableBlock block) {
  return view_as<NodeHead>(block.subspan(sizeof(BlockHeader)));
}

std::byte* entry_at(MutableBlock block, unsigned i) {
  return block.data() + sizeof(BlockHeader) + sizeof(NodeHead) + i * sizeof(DiskNodeEntry);
}

void store_entry(MutableBlock block, unsigned i, const NodeEntry& entry) {
  assert(entry.key.value < kMaxChunks && entry.child.value != 0 && entry.child.value < kMaxChunks);
  auto& disk = *reinterpret_cast<DiskNodeEntry*>(entry_at(block, i));
  disk.key.set(entry.key.value);
  disk.child.set(entry.child.value);
  disk.mask.set(entry.mask);
}

Status damaged(const std::string& what) {
  return Status(Code::corrupt, "node: " + what);
}

}  // namespace

unsigned NodeView::find(Chunk wanted) const {
  const unsigned n = entries();
  const unsigned above = first_not_below(n, wanted.value + 1, key(0).value, key(n - 1).value,
                                         [this](unsigned i) { return load48(at(i)); });
  return above == 0 ? 0 : above - 1;
}

void NodeView::prefetch(Chunk wanted, ChunkRun keys) const {
  const unsigned n = entries();
  const int guess = guess_place(n, wanted.value, keys.start.value, keys.end().value);
  __builtin_prefetch(at(static_cast<unsigned>(guess)));
  __builtin_prefetch(at(n - 1));
}

ShareMask NodeView::mask_union() const {
  ShareMask all = 0;
  for (unsigned i = 0, n = entries(); i < n; ++i) all |= mask(i);
  return all;
}

void node_init(MutableBlock block, unsigned level) {
  assert(level >= 1 && level < kMaxTreeLevels);
  std::memset(block.data() + sizeof(BlockHeader), 0, kBlockPayload);
  head_of(block).level.set(static_cast<std::uint8_t>(level));
}

void node_insert(MutableBlock block, unsigned i, const NodeEntry& entry) {
  const NodeView view(block);
  const unsigned n = view.entries();
  assert(n < kMaxNodeEntries && i <= n);
  assert(i == 0 || view.key(i - 1) < entry.key);
  assert(i == n || entry.key < view.key(i));
  std::memmove(entry_at(block, i + 1), entry_at(block, i), (n - i) * sizeof(DiskNodeEntry));
  store_entry(block, i, entry);
  head_of(block).entries.set(static_cast<std::uint16_t>(n + 1));
}

void node_remove(MutableBlock block, unsigned i) {
  const NodeView view(block);
  const unsigned n = view.entries();
  assert(i < n);
  const Chunk key = view.key(i);
  std::memmove(entry_at(block, i), entry_at(block, i + 1), (n - i - 1) * sizeof(DiskNodeEntry));
  head_of(block).entries.set(static_cast<std::uint16_t>(n - 1));
  if (i == 0 && n > 1) reinterpret_cast<DiskNodeEntry*>(entry_at(block, 0))->key.set(key.value);
}

void node_replace(MutableBlock block, unsigned i, const NodeEntry& entry) {
  const NodeView view(block);
  assert(i < view.entries());
  assert(i == 0 || view.key(i - 1) < entry.key);
  assert(i + 1 == view.entries() || entry.key < view.key(i + 1));
  store_entry(block, i, entry);
}

void node_set_mask(MutableBlock block, unsigned i, ShareMask mask) {
  assert(i < NodeView(block).entries());
  reinterpret_cast<DiskNodeEntry*>(entry_at(block, i))->mask.set(mask);
}

void node_split(MutableBlock left, MutableBlock right, unsigned at) {
  const unsigned n = NodeView(left).entries();
  assert(at <= n && NodeView(right).entries() == 0);
  std::memcpy(entry_at(right, 0), entry_at(left, at), (n - at) * sizeof(DiskNodeEntry));
  head_of(right).entries.set(static_cast<std::uint16_t>(n - at));
  head_of(left).entries.set(static_cast<std::uint16_t>(at));
}

void node_merge(MutableBlock left, NodeView right, Chunk separator) {
  const unsigned n = NodeView(left).entries();
  const unsigned more = right.entries();
  assert(n + more <= kMaxNodeEntries && NodeView(left).level() == right.level());
  for (unsigned i = 0; i < more; ++i) {
    NodeEntry entry = right.entry(i);
    // Keys from the separator on are the first child's, whatever its own entry says.
    if (i == 0) entry.key = separator;
    store_entry(left, n + i, entry);
  }
  head_of(left).entries.set(static_cast<std::uint16_t>(n + more));
}

Status validate_node(ConstBlock block) {
  const auto& head = view_as<NodeHead>(block.subspan(sizeof(BlockHeader)));
  const NodeView node(block);
  const unsigned n = node.entries();
  if (n == 0 || n > kMaxNodeEntries) return damaged(std::to_string(n) + " entries");
  if (node.level() == 0 || node.level() >= kMaxTreeLevels)
    return damaged("level " + std::to_string(node.level()));
  for (const std::uint8_t byte : head.reserved)
    if (byte != 0) return damaged("reserved bytes are in use");
  for (unsigned i = 0; i < n; ++i) {
    const char* fault = nullptr;
    if (node.child(i).value == 0) fault = "no child";
    if (node.mask(i) == 0) fault = "no mask";
    if (i > 0 && node.key(i) <= node.key(i - 1)) fault = "key is not above the last";
    if (fault) return damaged("entry " + std::to_string(i) + ": " + fault);
  }
  return Status();
}

}  // namespace csnap
