// SPDX-License-Identifier: Apache-2.0
// A tree of nodes and leaves that say anything, under right checksums: the checker walks it, and
// the tree answers or refuses; while it is sound it stays sound.
//   u8 levels, u8 root, u8 number of blocks, blocks, then operations.
//   A block is {u8 address (128 and more: a node), u8 entries, then of a node u8 level, and for
//   each entry u16 key, u8 child, u8 mask; of a leaf for each entry u16 chunk, u8 length, u8 mask}.
#include <array>

#include "btree/check.h"
#include "btree/tree.h"
#include "test/fuzz/store_rig.h"

using namespace csnap;

namespace {

using Block = std::array<std::byte, kBlockSize>;

// Hands out blocks from far away and takes anything back: a damaged tree may name any address.
class CarelessAllocator : public BlockAllocator {
 public:
  Status ensure(std::uint64_t) override { return Status(); }
  BlockAddress allocate_block() override { return BlockAddress(next_++); }
  void free_block(BlockAddress) override {}
  Status prepare_free(BlockAddress) override { return Status(); }

 private:
  std::uint64_t next_ = 1u << 24;
};

void fill_node(fuzz::Input& input, Block& block, unsigned entries) {
  const auto payload = std::span(block).subspan(sizeof(BlockHeader));
  auto& head = view_as<NodeHead>(payload);
  head.entries.set(static_cast<std::uint16_t>(entries));
  head.level.set(input.u8());
  for (unsigned i = 0; i < entries && i < kMaxNodeEntries; ++i) {
    auto& entry =
        view_as<DiskNodeEntry>(payload.subspan(sizeof(NodeHead) + i * sizeof(DiskNodeEntry)));
    entry.key.set(input.u16());
    entry.child.set(input.u8() % 128);
    entry.mask.set(input.u8());
  }
}

// By the tree's own hand where it can be, so that entries of odd order make a leaf of sorted ones.
void fill_leaf(fuzz::Input& input, Block& block, unsigned entries) {
  leaf_init(block);
  for (unsigned i = 0; i < entries; ++i) {
    const ChunkRun run{Chunk(input.u16()), 1u + input.u8() % 16};
    const ShareMask mask = input.u8();
    if (mask == 0 || LeafView(ConstBlock(block)).holds(run, mask)) continue;
    leaf_insert(block, run, StoreChunk(1000 + run.start.value), mask);
  }
}

struct Hostile {
  std::shared_ptr<MemoryVolume> volume = std::make_shared<MemoryVolume>("tree", 128 * kBlockSize);
  MemoryDevice device{volume};
  Superblock superblock;
  CarelessAllocator allocator;
  BlockCache cache{device, Uuid{}, 1u << 20};
  ExceptionTree tree{cache, allocator, superblock};

  void put(fuzz::Input& input) {
    Block block{};
    const unsigned at = input.u8(), entries = input.u8();
    if (at >= 128)
      fill_node(input, block, entries);
    else
      fill_leaf(input, block, entries);
    if (at % 16 == 15) input.patch(std::span(block).subspan(sizeof(BlockHeader)));
    fuzz::put_block(*volume, block, at >= 128 ? BlockKind::node : BlockKind::leaf,
                    BlockAddress(at % 128), Uuid{});
  }
  // What the superblock says of the tree's size is made to agree with the tree.
  bool sound() {
    TreeWalk walk;
    walk.read = read_through(cache);
    TreeReport report = check_tree(superblock, walk);
    superblock.tree_blocks = report.leaves + report.nodes;
    superblock.exceptions = report.exceptions;
    report = check_tree(superblock, walk);
    return report.sound();
  }
  template <class Operation>
  Status settle(Operation operation) {
    for (;;) {
      Status status = operation();
      if (status.code() != Code::need_block) return status;
      CSNAP_TRY(cache.fetch_sync(BlockAddress(status.detail())));
    }
  }
  Status change(fuzz::Input& input);
  Status insert(ChunkRun run, ShareMask mask);
};

// REQUIRES of insert() is kept as the server does: by asking first.
Status Hostile::insert(ChunkRun run, ShareMask mask) {
  for (Chunk at = run.start; at < run.end();) {
    Mapping mapping;
    CSNAP_TRY(settle([&] { return tree.lookup(at, run.end() - at, mapping); }));
    fuzz::require(mapping.chunks.start == at && mapping.chunks.count > 0, "a lookup goes on");
    if (mapping.shared & mask) return Status(Code::exists, "has it");
    at = mapping.chunks.end();
  }
  CSNAP_TRY(settle([&] { return tree.prepare(run); }));
  tree.insert(run, StoreChunk(100'000 + run.start.value), mask);
  return {};
}

Status Hostile::change(fuzz::Input& input) {
  const unsigned what = input.u8();
  const ChunkRun run{Chunk(input.u16()), 1u + input.u8()};
  const ShareMask mask = input.u8() | 1u;
  switch (what % 4) {
    case 0:
      return insert(run, mask);
    case 1: {
      CSNAP_TRY(settle([&] { return tree.prepare(run); }));
      std::vector<StoreRun> freed;
      tree.clear(run, mask, freed);
      return {};
    }
    case 2:
      return settle([&] { return tree.next_leaf_with(mask, run.start).status(); });
    default:
      return settle([&] { return tree.next_mapping(run.start).status(); });
  }
}

}  // namespace

FUZZ_TARGET(tree) {
  Hostile hostile;
  hostile.superblock.tree_levels = input.u8() % (kMaxTreeLevels + 2);
  hostile.superblock.tree_root = BlockAddress(input.u8() % 128);
  hostile.superblock.origin_size = (1u << 17) * kBlockSize;
  for (unsigned blocks = input.u8() % 32; blocks > 0; --blocks) hostile.put(input);
  bool sound = hostile.sound();
  for (int operations = 0; !input.empty() && operations < 64; ++operations) {
    const Status changed = hostile.change(input);
    if (!sound) continue;
    fuzz::require(changed.ok() || changed.code() == Code::exists, "a change of a sound tree",
                  changed.to_string());
  }
  fuzz::require(!sound || hostile.sound(), "a sound tree stays sound");
}
