// SPDX-License-Identifier: Apache-2.0
// What lay below a damaged node: its leaves are somewhere among the blocks that are in use and that
// nothing leads to. They say what they are, and what they hold; where one ends and the next one
// begins they do not say.
#include <algorithm>
#include <array>
#include <vector>

#include "server/mend.h"
#include "store/bits.h"
#include "store/space.h"

namespace csnap {

class Salvage {
 public:
  Salvage(Mender& mender, TreeFacts& tree, bool name_bits)
      : m_(mender),
        tree_(tree),
        name_bits_(name_bits),
        superblock_(mender.state_.superblock()),
        blocks_(superblock_.metadata_space().blocks),
        data_blocks_(superblock_.separate_metadata ? superblock_.data.blocks : 0) {
    for (const BadBlock& bad : tree.bad)
      if (bad.level > 0) ranges_.push_back({bad.ref.keys, bad.ref.mask});
  }

  Status run() {
    const Superblock& s = superblock_;
    CSNAP_TRY(find_unexplained(s.metadata_space(), !s.separate_metadata, true, blocks_));
    if (s.separate_metadata) CSNAP_TRY(find_unexplained(s.data, true, false, data_blocks_));
    find_leaves();
    // The newest first: should two speak of the same, the older one was on its way out.
    std::sort(leaves_.begin(), leaves_.end(),
              [](const Leaf& a, const Leaf& b) { return a.sequence > b.sequence; });
    for (const Leaf& leaf : leaves_) CSNAP_TRY(take_leaf(leaf));
    return mark_gaps();
  }

 private:
  struct Range {
    ChunkRun keys;
    ShareMask mask = 0;
  };
  struct Leaf {
    BlockAddress block;
    Sequence sequence;
    ChunkRun keys;       // from its first chunk to its last
    ShareMask mask = 0;  // of the damaged node above it
  };

  // Where data is, in blocks.
  ChunkSet& data_blocks() { return superblock_.separate_metadata ? data_blocks_ : blocks_; }
  StoreRun blocks_of(StoreRun chunks) const {
    const std::uint64_t n = superblock_.blocks_per_chunk();
    return {StoreChunk(chunks.start.value * n), chunks.count * n};
  }

  // Blocks that are in use, and not by what can be reached.
  Status find_unexplained(const SpaceLayout& space, bool data, bool blocks, ChunkSet& out) {
    const ExpectedBits expected(space, tree_, data, blocks);
    std::array<std::byte, kBlockPayload> bits;
    for (std::uint64_t group = 0; group < space.bitmap_ready; ++group) {
      const std::uint64_t base = group * kBitsPerBitmapBlock;
      if (const Status status = m_.edit([&]() -> Status {
            CSNAP_ASSIGN(const ConstBlock block,
                         m_.state_.cache().read(space.bitmap + group, BlockKind::bitmap));
            const auto used = block.subspan(sizeof(BlockHeader));
            expected.fill(group, bits, [](std::uint64_t) {});
            const auto word = [&](std::uint64_t w) {
              return load_word(used, w) & ~load_word(bits, w);
            };
            const std::uint64_t end = std::min(kBitsPerBitmapBlock, space.blocks - base);
            for (std::uint64_t at = 0; at < end;) {
              at = find_bit(word, at, end, true);
              const std::uint64_t to = find_bit(word, at, end, false);
              if (at < to) out.insert({StoreChunk(base + at), to - at});
              at = to;
            }
            return {};
          });
          !status.ok())
        return status;
    }
    for (const BadBlock& bad : tree_.bad)
      if (bad.ref.block.value < blocks_.size()) blocks_.erase({StoreChunk(bad.ref.block.value), 1});
    return {};
  }

  void find_leaves() {
    constexpr std::size_t kAtOnce = 1u << 16;
    constexpr std::array kKinds{BlockKind::leaf, BlockKind::node};
    std::vector<BlockAddress> addresses;
    for (std::uint64_t at = 0; at < blocks_.size();) {
      addresses.clear();
      while (at < blocks_.size() && addresses.size() < kAtOnce) {
        at = blocks_.find(at, blocks_.size(), true);
        if (at < blocks_.size()) addresses.push_back(BlockAddress(at++));
      }
      m_.reader_.read_kinds(addresses, kKinds, [&](std::size_t i, const Result<ConstBlock>& block) {
        if (block.ok()) look_at(addresses[i], *block);
      });
    }
  }

  void look_at(BlockAddress address, ConstBlock block) {
    if (kind_of(block) == BlockKind::node) {
      if (validate_node(block).ok()) blocks_.erase({StoreChunk(address.value), 1});
      return;
    }
    if (!validate_leaf(block).ok()) return;
    blocks_.erase({StoreChunk(address.value), 1});
    const LeafView view(block);
    const Chunk from = view.chunk(0), to = view.end(view.entries() - 1);
    for (const Range& range : ranges_)
      if (from >= range.keys.start && to <= range.keys.end())
        return leaves_.push_back({address,
                                  Sequence(view_as<BlockHeader>(block).sequence.get()),
                                  {from, to - from},
                                  range.mask});
  }

  Status take_leaf(const Leaf& leaf) {
    std::vector<LeafEntry> entries;
    if (const Status status = m_.edit([&]() -> Status {
          CSNAP_ASSIGN(const ConstBlock block, m_.state_.cache().read(leaf.block, BlockKind::leaf));
          entries.clear();
          const LeafView view(block);
          for (unsigned i = 0; i < view.entries(); ++i) entries.push_back(view.entry(i));
          return {};
        });
        !status.ok())
      return status;
    ++m_.done_.leaves_saved;
    for (LeafEntry& entry : entries) {
      CSNAP_TRY(know_bits(entry.mask));
      if (entry.mask == 0) continue;
      const ChunkRun run{entry.chunk, entry.length};
      if (!ours({entry.store, entry.length})) {
        CSNAP_TRY(m_.lose(run, entry.mask));
        continue;
      }
      data_blocks().erase(blocks_of({entry.store, entry.length}));
      tree_.chunks.insert({entry.store, entry.length});
      CSNAP_TRY(insert(run, entry.store, entry.mask));
    }
    return {};
  }

  // Bits of no snapshot go, or get a name, if there is reason to believe that they had one.
  Status know_bits(ShareMask& mask) {
    const SnapshotTable& table = std::as_const(m_.state_).snapshots();
    const ShareMask known = table.active() | table.deleting();
    if ((mask & ~known) == 0) return {};
    if (name_bits_) return m_.name_snapshots(mask & ~known);
    mask &= known;
    return {};
  }

  // Can data be there, is the place in use, and by nobody that we know?
  bool ours(StoreRun run) {
    if (run.start < superblock_.first_chunk() || run.end().value > superblock_.store_chunks())
      return false;
    const StoreRun blocks = blocks_of(run);
    return data_blocks().find(blocks.start.value, blocks.end().value, false) == blocks.end().value;
  }

  Status insert(ChunkRun run, StoreChunk store, ShareMask mask) {
    ExceptionTree& tree = m_.state_.tree();
    Mapping mapping;
    for (Chunk at = run.start; at < run.end(); at = mapping.chunks.end()) {
      if (const Status status = m_.edit([&]() -> Status {
            CSNAP_TRY(tree.lookup(at, run.end() - at, mapping));
            const ShareMask bits = mask & ~mapping.shared;
            if (bits == 0) return {};
            CSNAP_TRY(tree.prepare(mapping.chunks, ExceptionTree::Change::insert));
            tree.insert(mapping.chunks, store + (at - run.start), bits);
            return {};
          });
          !status.ok())
        return status;
      m_.done_.exceptions_saved += mapping.chunks.count;
    }
    return {};
  }

  // Between the leaves that were found nothing is missing if everything in use is explained.
  Status mark_gaps() {
    const auto any = [](const ChunkSet& set) { return set.find(0, set.size(), true) < set.size(); };
    if (!m_.bitmaps_lost_ && !any(blocks_) && !any(data_blocks_)) return {};
    std::sort(leaves_.begin(), leaves_.end(),
              [](const Leaf& a, const Leaf& b) { return a.keys.start < b.keys.start; });
    for (const Range& range : ranges_) {
      Chunk at = range.keys.start;
      for (const Leaf& leaf : leaves_) {
        if (leaf.keys.end() <= at || leaf.keys.start >= range.keys.end()) continue;
        if (leaf.keys.start > at) CSNAP_TRY(m_.lose({at, leaf.keys.start - at}, range.mask));
        at = leaf.keys.end();
      }
      if (at < range.keys.end()) CSNAP_TRY(m_.lose({at, range.keys.end() - at}, range.mask));
    }
    return {};
  }

  Mender& m_;
  TreeFacts& tree_;
  const bool name_bits_;
  const Superblock& superblock_;
  ChunkSet blocks_, data_blocks_;  // in use, and nobody knows for what
  std::vector<Range> ranges_;
  std::vector<Leaf> leaves_;
};

Status Mender::salvage(TreeFacts& tree, bool name_bits) {
  return Salvage(*this, tree, name_bits).run();
}

}  // namespace csnap
