// SPDX-License-Identifier: Apache-2.0
// A node: what validate_node() lets through can be read and edited, and stays valid.
//   u16 entries, u8 level, the entries' bytes; then operations until the input ends.
#include <array>
#include <optional>

#include "btree/node.h"
#include "test/fuzz/target.h"

using namespace csnap;

namespace {

using Block = std::array<std::byte, kBlockSize>;

NodeView view(const Block& block) {
  return NodeView(ConstBlock(block));
}

// A node without entries is for the tree to remove; on the disk there is none.
bool sound(const Block& block) {
  return view(block).entries() == 0 || validate_node(block).ok();
}

void put_content(fuzz::Input& input, Block& block) {
  const auto payload = MutableBlock(block).subspan(sizeof(BlockHeader));
  auto& head = view_as<NodeHead>(payload);
  head.entries.set(input.u16());
  head.level.set(input.u8());
  const auto room = payload.subspan(sizeof(NodeHead));
  input.fill(room.first(std::min(room.size(), head.entries.get() * sizeof(DiskNodeEntry))));
}

void look_at(const Block& block, Chunk key) {
  const NodeView node = view(block);
  ShareMask all = 0;
  for (unsigned i = 0; i < node.entries(); ++i) {
    all |= node.mask(i);
    fuzz::require(node.find(node.key(i)) == i, "finding an entry");
  }
  fuzz::require(all == node.mask_union(), "the union of masks");
  if (node.entries() == 0) return;
  const unsigned i = node.find(key);
  fuzz::require(i < node.entries() && (i == 0 || node.key(i) <= key), "what was found");
}

// Where a key that no entry has would go; nothing when one has it.
std::optional<unsigned> place_of(const NodeView& node, Chunk key) {
  unsigned i = 0;
  while (i < node.entries() && node.key(i) < key) ++i;
  if (i < node.entries() && node.key(i) == key) return std::nullopt;
  return i;
}

void split_and_merge(Block& block, unsigned choice, bool merge) {
  const unsigned entries = view(block).entries();
  if (entries < 2) return;
  const unsigned at = 1 + choice % (entries - 1);
  const Chunk separator = view(block).key(at);
  Block right{};
  node_init(right, view(block).level());
  node_split(block, right, at);
  fuzz::require_ok(validate_node(block), "the left half is a node");
  fuzz::require_ok(validate_node(right), "the right half is a node");
  if (!merge) return;
  node_merge(block, view(right), separator);
  fuzz::require(view(block).entries() == entries, "two halves make the whole");
}

void edit(fuzz::Input& input, Block& block) {
  const unsigned what = input.u8();
  const Chunk key((what & 0x80) ? input.u48() : input.u16());
  const unsigned entries = view(block).entries();
  look_at(block, key);
  switch (what % 4) {
    case 0: {
      const auto place = place_of(view(block), key);
      if (!place || entries == kMaxNodeEntries) return;
      node_insert(block, *place, {key, BlockAddress(input.u16() + 1u), input.u64() | 1});
      fuzz::require(view(block).key(*place) == key, "the entry is where it was put");
      return;
    }
    case 1:
      if (entries < 2) return;
      node_remove(block, static_cast<unsigned>(key.value % entries));
      return;
    case 2:
      if (entries > 0)
        node_set_mask(block, static_cast<unsigned>(key.value % entries), input.u64() | 1);
      return;
    default:
      split_and_merge(block, static_cast<unsigned>(key.value & 0xffff), (what & 4) != 0);
  }
}

}  // namespace

FUZZ_TARGET(node) {
  Block block{};
  put_content(input, block);
  if (view(block).entries() == 0) node_init(block, 1);
  if (!sound(block)) return;
  for (int operations = 0; !input.empty() && operations < 200; ++operations) {
    edit(input, block);
    fuzz::require(sound(block), "an edited node is valid");
  }
}
