// SPDX-License-Identifier: Apache-2.0
// A leaf: what validate_leaf() lets through can be read and edited, and stays valid.
//   u16 entries, u16 masks, the entries' bytes, the masks; then operations until the input ends.
#include <array>

#include "btree/leaf.h"
#include "test/fuzz/target.h"

using namespace csnap;

namespace {

struct Block {
  alignas(64) std::array<std::byte, kBlockSize> bytes{};
  MutableBlock payload() { return MutableBlock(bytes).subspan(sizeof(BlockHeader)); }
};

void put_content(fuzz::Input& input, Block& block) {
  auto& head = view_as<LeafHead>(block.payload());
  head.entries.set(input.u16());
  head.masks.set(input.u16());
  const auto room = block.payload().subspan(sizeof(LeafHead));
  input.fill(room.first(std::min(room.size(), head.entries.get() * sizeof(DiskLeafEntry))));
  input.fill(room.last(std::min(room.size(), head.masks.get() * kMaskSize)));
}

void look_at(const Block& block, Chunk key) {
  const LeafView leaf{ConstBlock(block.bytes)};
  ShareMask all = 0;
  for (unsigned i = 0; i < leaf.entries(); ++i) {
    all |= leaf.mask(i);
    fuzz::require(leaf.segment_begin(i) <= i && i < leaf.segment_end(i), "an entry's segment");
    fuzz::require(leaf.find(leaf.chunk(i)) == leaf.segment_begin(i), "finding an entry");
  }
  fuzz::require(all == leaf.mask_union(), "the union of masks");
  const unsigned found = leaf.find(key);
  fuzz::require(found == leaf.find(key, {Chunk(0), kMaxChunks}), "both ways to find");
  fuzz::require(found == leaf.entries() || leaf.end(found) > key, "what was found");
}

// A leaf without entries is for the tree to remove; on the disk there is none.
bool sound(const Block& block) {
  return LeafView(ConstBlock(block.bytes)).entries() == 0 || validate_leaf(block.bytes).ok();
}

// How many exceptions with one of the bits the run has, times chunks.
std::uint64_t weight(const Block& block, ChunkRun run, ShareMask bits) {
  const LeafView leaf{ConstBlock(block.bytes)};
  std::uint64_t sum = 0;
  for (unsigned i = 0; i < leaf.entries(); ++i) {
    const auto from = std::max(leaf.chunk(i), run.start), to = std::min(leaf.end(i), run.end());
    if (from < to && (leaf.mask(i) & bits) != 0) sum += to - from;
  }
  return sum;
}

void edit(fuzz::Input& input, Block& block, Block& right) {
  const unsigned what = input.u8();
  const std::uint64_t start = (what & 0x80) ? input.u48() % kMaxOriginChunks : input.u16();
  const ChunkRun run{Chunk(start),
                     std::min<std::uint64_t>(input.u16() % 1024 + 1u, kMaxOriginChunks - start)};
  const ShareMask mask = (what & 0x40) ? input.u64() : ShareMask{1} << input.u8() % 64;
  if (mask == 0) return;
  const bool held = LeafView(ConstBlock(block.bytes)).holds(run, mask);
  fuzz::require(held == (weight(block, run, mask) > 0), "holds()");
  look_at(block, run.start);
  switch (what % 4) {
    case 0:
    case 1: {
      if (held) return;
      const StoreChunk store{(what & 0x20) ? lost_store(run.start) : StoreChunk(input.u32())};
      const auto before = weight(block, run, ~ShareMask{0});
      const auto put = leaf_insert(block.bytes, run, store, mask);
      fuzz::require(put <= run.count, "an insertion goes no further than asked");
      fuzz::require(weight(block, run, mask) == put, "what was inserted is there");
      fuzz::require(weight(block, run, ~ShareMask{0}) == before + put, "nothing else was inserted");
      return;
    }
    case 2: {
      std::vector<StoreRun> freed;
      const auto before = weight(block, run, ~ShareMask{0});
      const bool fits = leaf_clear(block.bytes, run, mask, freed);
      std::uint64_t gone = 0;
      for (const auto& one : freed) gone += one.count;
      fuzz::require(fits || freed.empty(), "a refused clearing frees nothing");
      fuzz::require(!fits || weight(block, run, mask) == 0, "what was cleared is gone");
      fuzz::require(weight(block, run, ~ShareMask{0}) + gone == before, "what is gone was freed");
      return;
    }
    default: {
      const unsigned at = leaf_split_point(LeafView(ConstBlock(block.bytes)));
      if (at == 0) return;
      const auto before = block.bytes;
      leaf_init(right.bytes);
      leaf_split(block.bytes, right.bytes, at);
      fuzz::require_ok(validate_leaf(block.bytes), "the left half is a leaf");
      fuzz::require_ok(validate_leaf(right.bytes), "the right half is a leaf");
      if ((what & 4) || leaf_merged_bytes(LeafView(ConstBlock(block.bytes)),
                                          LeafView(ConstBlock(right.bytes))) > kLeafRoom)
        return;
      leaf_merge(block.bytes, LeafView(ConstBlock(right.bytes)));
      fuzz::require(
          LeafView(ConstBlock(block.bytes)).entries() == LeafView(ConstBlock(before)).entries(),
          "two halves make the whole");
    }
  }
}

}  // namespace

FUZZ_TARGET(leaf) {
  Block block, right;
  put_content(input, block);
  if (LeafView(ConstBlock(block.bytes)).entries() == 0) leaf_init(block.bytes);
  if (!sound(block)) return;
  look_at(block, Chunk(input.u16()));
  for (int operations = 0; !input.empty() && operations < 200; ++operations) {
    edit(input, block, right);
    fuzz::require(sound(block), "an edited leaf is valid");
  }
}
