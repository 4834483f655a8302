// SPDX-License-Identifier: Apache-2.0
// Blocks that carry a right checksum and wrong content: never a crash, never a guess.
#include <array>
#include <catch2/catch.hpp>

#include "btree/tree.h"
#include "test/btree/tree_fixture.h"

using namespace csnap;
using namespace csnap::test;

namespace {

// Hands out blocks from far away and takes anything back: a damaged tree may name any address.
class CarelessAllocator : public BlockAllocator {
 public:
  Status ensure(std::uint64_t) override { return Status(); }
  BlockAddress allocate_block() override { return BlockAddress{next_++}; }
  void free_block(BlockAddress) override {}
  Status prepare_free(BlockAddress) override { return Status(); }

 private:
  std::uint64_t next_ = 1 << 24;
};

// The tree as somebody finds it who opens the store.
struct Opened {
  explicit Opened(TreeFixture& from)
      : superblock(from.superblock),
        cache(from.device, Uuid{}, 1 << 22),
        tree(cache, allocator, superblock) {}

  // The outcome, once no block is missing.
  template <class Operation>
  Status settle(Operation operation) {
    for (;;) {
      Status status = operation();
      if (status.code() != Code::need_block) return status;
      CSNAP_TRY(cache.fetch_sync(BlockAddress{status.detail()}));
    }
  }
  Status lookup(std::uint64_t chunk, Mapping& mapping) {
    return settle([&] { return tree.lookup(Chunk{chunk}, 100, mapping); });
  }
  TreeReport check() {
    TreeWalk walk;
    walk.read = read_through(cache);
    return check_tree(superblock, walk);
  }

  CarelessAllocator allocator;
  Superblock superblock;
  BlockCache cache;
  ExceptionTree tree;
};

// A tree of two levels, at home on the device: entries at 10, 20, 30, ...
struct Damaged : TreeFixture {
  Damaged() {
    for (std::uint64_t i = 1; i <= 2000; ++i) insert(run_of(10 * i, 2), 100 * i, 1 + i % 3);
    checkpoint();
    REQUIRE(tree.levels() == 2);
    const NodeView root(*cache.read(superblock.tree_root, BlockKind::node));
    for (unsigned i = 0; i < root.entries(); ++i) leaves.push_back(root.entry(i));
    REQUIRE(leaves.size() > 5);
  }

  // Changes a block at home and gives it a right checksum.
  template <class Change>
  void change(BlockAddress address, Change how) {
    alignas(4096) std::array<std::byte, kBlockSize> block;
    REQUIRE(read_sync(device, address.value * kBlockSize, block).ok());
    how(MutableBlock(block).subspan(sizeof(BlockHeader)));
    seal_checksum(block);
    REQUIRE(write_sync(device, address.value * kBlockSize, block).ok());
  }
  void change_root_entry(unsigned i, std::function<void(DiskNodeEntry&)> how) {
    change(superblock.tree_root, [&](MutableBlock payload) {
      how(view_as<DiskNodeEntry>(
          payload.subspan(sizeof(NodeHead) + i * sizeof(DiskNodeEntry), sizeof(DiskNodeEntry))));
    });
  }

  std::vector<NodeEntry> leaves;
};

}  // namespace

TEST_CASE("a leaf with bad content is corrupt to who asks for it, the other leaves still answer") {
  Damaged t;
  t.change(t.leaves[2].child,
           [](MutableBlock payload) { view_as<LeafHead>(payload).masks.set(0); });
  Opened opened(t);
  Mapping mapping;
  CHECK(opened.lookup(t.leaves[2].key.value, mapping).code() == Code::corrupt);
  REQUIRE(opened.lookup(t.leaves[3].key.value, mapping).ok());
  CHECK(mapping.count == 1);
  const TreeReport report = opened.check();
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].block == t.leaves[2].child);
  CHECK(report.leaves == t.leaves.size() - 1);
}

TEST_CASE("a leaf in another's place is corrupt to everybody") {
  Damaged t;
  t.change_root_entry(1, [&](DiskNodeEntry& entry) { entry.child.set(t.leaves[3].child.value); });
  Opened opened(t);
  const Chunk chunk = t.leaves[1].key;
  Mapping mapping;
  CHECK(opened.lookup(chunk.value, mapping).code() == Code::corrupt);
  const auto prepare = [&] { return opened.tree.prepare({chunk, 1}); };
  CHECK(opened.settle(prepare).code() == Code::corrupt);
  const auto next = [&] { return opened.tree.next_mapping(chunk).status(); };
  CHECK(opened.settle(next).code() == Code::corrupt);
  CHECK_FALSE(opened.check().sound());
}

TEST_CASE("a node that leads back to itself is corrupt, not a loop") {
  Damaged t;
  t.change_root_entry(1,
                      [&](DiskNodeEntry& entry) { entry.child.set(t.superblock.tree_root.value); });
  Opened opened(t);
  Mapping mapping;
  CHECK(opened.lookup(t.leaves[1].key.value, mapping).code() == Code::corrupt);
  CHECK_FALSE(opened.check().sound());
}

TEST_CASE("a superblock that counts levels wrong is found out") {
  Damaged t;
  Opened opened(t);
  Mapping mapping;
  for (const std::uint32_t levels : {1u, 3u, kMaxTreeLevels, kMaxTreeLevels + 1, ~0u}) {
    opened.superblock.tree_levels = levels;
    INFO(levels << " levels");
    CHECK(opened.lookup(10, mapping).code() == Code::corrupt);
    const auto find = [&] { return opened.tree.next_leaf_with(1, Chunk{0}).status(); };
    CHECK(opened.settle(find).code() == Code::corrupt);
    CHECK_FALSE(opened.check().sound());
  }
  opened.superblock.tree_levels = 2;
  CHECK(opened.check().sound());
  opened.superblock.tree_blocks += 1;
  CHECK_FALSE(opened.check().sound());
}

TEST_CASE("the walk finds a mask in a node that is not the OR of what is below") {
  Damaged t;
  t.change_root_entry(4, [&](DiskNodeEntry& entry) { entry.mask.set(7); });
  Opened opened(t);
  const TreeReport report = opened.check();
  REQUIRE(report.findings.size() == 1);
  CHECK_THAT(report.findings[0].what, Catch::Contains("entry 4 says mask 0x0000000000000007"));
}

TEST_CASE("the walk finds bits of snapshots that are not allowed") {
  Damaged t;
  TreeWalk walk;
  walk.read = read_through(t.cache);
  walk.allowed = 2;
  const TreeReport report = check_tree(t.superblock, walk);
  CHECK(report.findings.size() > 1000);
  CHECK_THAT(report.findings[0].to_string(), Catch::Contains("bits of no snapshot"));
}

TEST_CASE("random damage under right checksums never crashes anything") {
  const auto seed = GENERATE(1u, 2u, 3u);
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  Damaged t;
  std::vector<BlockAddress> blocks{t.superblock.tree_root};
  for (const NodeEntry& leaf : t.leaves) blocks.push_back(leaf.child);
  unsigned refused = 0, passed = 0;
  for (int round = 0; round < 400; ++round) {
    const BlockAddress victim = rng() % 2 ? blocks[0] : blocks[rng() % blocks.size()];
    std::vector<std::byte> before;
    t.change(victim, [&](MutableBlock payload) {
      before.assign(payload.begin(), payload.end());
      // Mostly where the entries are, or the end of the dictionary.
      const std::size_t end = rng() % 8 ? 400 : kBlockPayload;
      for (int i = 0; i < 2; ++i) payload[rng() % end] = static_cast<std::byte>(rng());
      if (rng() % 8 == 0) payload[kBlockPayload - 1 - rng() % 24] ^= std::byte{1};
    });
    Opened opened(t);
    opened.check();
    Mapping mapping;
    for (int i = 0; i < 10; ++i) {
      const std::uint64_t chunk = rng() % 21000;
      const bool ok = opened.lookup(chunk, mapping).ok();
      ++(ok ? passed : refused);
      const ChunkRun run{Chunk{chunk}, ok ? mapping.chunks.count : 1 + rng() % 500};
      if (!opened.settle([&] { return opened.tree.prepare(run); }).ok()) continue;
      std::vector<StoreRun> freed;
      if (ok && ~mapping.shared != 0 && rng() % 2)
        opened.tree.insert(run, StoreChunk{chunk}, ~mapping.shared);
      opened.tree.clear(run, rng(), freed);
      const std::array hints{run_of(rng() % 21000, 1), run_of(rng() % 21000, 1)};
      opened.tree.warm(hints);
    }
    static_cast<void>(opened.settle([&] { return opened.tree.next_mapping(Chunk{0}).status(); }));
    static_cast<void>(
        opened.settle([&] { return opened.tree.next_leaf_with(2, Chunk{0}).status(); }));
    const ChunkRun all = run_of(0, kMaxChunks);
    if (opened.settle([&] { return opened.tree.prepare(all); }).ok()) {
      std::vector<StoreRun> freed;
      opened.tree.clear(all, ~ShareMask{0}, freed);
      REQUIRE(opened.tree.levels() == 0);
    }
    t.change(victim, [&](MutableBlock payload) {
      std::copy(before.begin(), before.end(), payload.begin());
    });
  }
  CHECK(refused > 100);
  CHECK(passed > 100);
}
