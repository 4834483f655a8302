// SPDX-License-Identifier: Apache-2.0
// What lay below a damaged node: its leaves are somewhere among the blocks that are in use and that
// nothing leads to. They say what they are, and what they hold; where one ends and the next one
// begins they do not say.
//
// A leaf that contradicts nothing stays where it is, and only nodes above it are made: what a lost
// root costs is a small part of the tree, in memory and in the journal. Leaves that claim what
// another one claims are taken apart, the newest first, and their entries inserted one by one.
#include <algorithm>
#include <array>
#include <iterator>
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
        data_blocks_(superblock_.separate_metadata ? superblock_.data.blocks : 0),
        tree_blocks_(superblock_.tree_blocks) {
    for (const BadBlock& bad : tree.bad)
      if (bad.level > 0) ranges_.push_back({bad, {}});
  }

  Status run() {
    const Superblock& s = superblock_;
    CSNAP_TRY(find_unexplained(s.metadata_space(), !s.separate_metadata, true, blocks_));
    if (s.separate_metadata) CSNAP_TRY(find_unexplained(s.data, true, false, data_blocks_));
    find_leaves();
    CSNAP_TRY(choose_leaves());
    for (Range& range : ranges_) CSNAP_TRY(build_above(range));
    std::erase_if(tree_.bad, [&](const BadBlock& bad) {
      return std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
        return range.mended && range.bad.ref.block == bad.ref.block;
      });
    });
    CSNAP_TRY(m_.cut_and_correct(tree_));
    // The newest first: should two speak of the same, the older one was on its way out.
    std::sort(leaves_.begin(), leaves_.end(),
              [](const Leaf& a, const Leaf& b) { return a.sequence > b.sequence; });
    for (const Leaf& leaf : leaves_)
      if (!leaf.stays) CSNAP_TRY(take_leaf(leaf));
    return mark_gaps();
  }

 private:
  // Of a damaged node.
  struct Range {
    BadBlock bad;
    std::vector<NodeEntry> leaves;  // that stay
    bool mended = false;            // a new node leads to them
  };
  struct Leaf {
    BlockAddress block;
    Sequence sequence;
    ChunkRun keys;  // from its first chunk to its last
    std::size_t range = 0;
    bool stays = false;
    ShareMask mask = 0;
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

  // What is in use and not explained is read. Where a leaf says that data is, no leaf is looked
  // for, unless in the end something does not add up.
  void find_leaves() {
    claimed_ = ChunkSet(data_blocks().size());
    contested_ = ChunkSet(data_blocks().size());
    unread_ = ChunkSet(blocks_.size());
    for (std::uint64_t at = 0, to = 0; at < blocks_.size(); at = to) {
      at = blocks_.find(at, blocks_.size(), true);
      to = blocks_.find(at, blocks_.size(), false);
      unread_.insert({StoreChunk(at), to - at});
    }
    const bool one_space = !superblock_.separate_metadata;
    read_leaves(one_space);
    const std::uint64_t known = tree_.leaves + tree_.nodes + tree_.bad.size();
    if (one_space && known + leaves_.size() + nodes_ != tree_blocks_) read_leaves(false);
    std::sort(leaves_.begin(), leaves_.end(),
              [](const Leaf& a, const Leaf& b) { return a.block < b.block; });
  }

  void read_leaves(bool skip_claimed) {
    constexpr std::size_t kAtOnce = 1024;
    constexpr std::array kKinds{BlockKind::leaf, BlockKind::node};
    std::vector<BlockAddress> addresses;
    for (std::uint64_t at = 0, end = unread_.size(); at < end;) {
      addresses.clear();
      while (at < end && addresses.size() < kAtOnce) {
        at = unread_.find(at, end, true);
        if (at >= end) break;
        if (skip_claimed && claimed_.contains(StoreChunk(at))) {
          at = claimed_.find(at, end, false);
          continue;
        }
        unread_.erase({StoreChunk(at), 1});
        addresses.push_back(BlockAddress(at++));
      }
      m_.reader_.read_kinds(addresses, kKinds, [&](std::size_t i, const Result<ConstBlock>& block) {
        if (block.ok()) look_at(addresses[i], *block);
      });
    }
  }

  void look_at(BlockAddress address, ConstBlock block) {
    if (kind_of(block) == BlockKind::node) {
      if (!validate_node(block).ok()) return;
      blocks_.erase({StoreChunk(address.value), 1});
      ++nodes_;
      return;
    }
    if (!validate_leaf(block).ok()) return;
    blocks_.erase({StoreChunk(address.value), 1});
    const LeafView view(block);
    const Chunk from = view.chunk(0), to = view.end(view.entries() - 1);
    for (std::size_t r = 0; r < ranges_.size(); ++r) {
      const ChunkRun& keys = ranges_[r].bad.ref.keys;
      if (from < keys.start || to > keys.end()) continue;
      claim(view);
      return leaves_.push_back({address,
                                Sequence(view_as<BlockHeader>(block).sequence.get()),
                                {from, to - from},
                                r,
                                true,
                                view.mask_union()});
    }
  }

  void claim(const LeafView& view) {
    for (unsigned i = 0; i < view.entries(); ++i) {
      const StoreRun run{view.store(i), view.length(i)};
      if (!lies_in_store(run)) continue;
      const StoreRun blocks = blocks_of(run);
      if (claimed_.overlaps(blocks)) contested_.insert(blocks);
      claimed_.insert(blocks);
    }
  }

  // Which leaves stay as they are? REQUIRES: they are sorted by address.
  Status choose_leaves() {
    std::vector<Leaf*> by_key;
    for (Leaf& leaf : leaves_) by_key.push_back(&leaf);
    std::sort(by_key.begin(), by_key.end(),
              [](const Leaf* a, const Leaf* b) { return a->keys.start < b->keys.start; });
    for (std::size_t i = 1, last = 0; i < by_key.size(); ++i) {
      if (by_key[i]->keys.start < by_key[last]->keys.end())
        by_key[i]->stays = by_key[last]->stays = false;
      if (by_key[i]->keys.end() > by_key[last]->keys.end()) last = i;
    }
    std::vector<BlockAddress> addresses;
    ShareMask mask = 0;
    for (const Leaf& leaf : leaves_) {
      addresses.push_back(leaf.block);
      mask |= leaf.mask;
    }
    if (name_bits_) CSNAP_TRY(know_bits(mask));
    m_.reader_.read(addresses, BlockKind::leaf, [&](std::size_t i, const Result<ConstBlock>& b) {
      Leaf& leaf = leaves_[i];
      leaf.stays = leaf.stays && b.ok() && contradicts_nothing(LeafView(*b));
      if (leaf.stays) keep(LeafView(*b));
    });
    for (const Leaf* leaf : by_key)
      if (leaf->stays)
        ranges_[leaf->range].leaves.push_back({leaf->keys.start, leaf->block, leaf->mask});
    return {};
  }

  bool contradicts_nothing(const LeafView& view) {
    const SnapshotTable& table = std::as_const(m_.state_).snapshots();
    if (view.mask_union() & ~(table.active() | table.deleting())) return false;
    for (unsigned i = 0; i < view.entries(); ++i) {
      const StoreRun run{view.store(i), view.length(i)};
      if (run.start == lost_store(view.chunk(i))) continue;
      if (!ours(run) || contested_.overlaps(blocks_of(run))) return false;
    }
    return true;
  }

  void keep(const LeafView& view) {
    ++m_.done_.leaves_saved;
    for (unsigned i = 0; i < view.entries(); ++i) {
      m_.done_.exceptions_saved += view.length(i);
      if (is_lost(view.store(i))) continue;
      const StoreRun run{view.store(i), view.length(i)};
      data_blocks().erase(blocks_of(run));
      tree_.chunks.insert(run);
    }
  }

  // New nodes above the leaves that stay, the topmost in the place of the damaged one. If that
  // cannot be, the leaves are taken apart like others.
  Status build_above(Range& range) {
    if (range.leaves.empty()) return {};
    const bool root = range.bad.ref.parent.value == 0;
    std::vector<NodeEntry> top = range.leaves;
    top[0].key = range.bad.ref.keys.start;  // what comes in before the first leaf's first chunk
    unsigned level = 0;
    while (root ? top.size() > 1 : level < range.bad.level) {
      if (++level >= kMaxTreeLevels) break;
      CSNAP_ASSIGN(top, build_level(top, level));
    }
    if (top.size() == 1) {
      CSNAP_ASSIGN(range.mended, m_.replace(range.bad, top[0], level));
    }
    if (range.mended) return {};
    for (Leaf& leaf : leaves_)
      if (leaf.stays && &ranges_[leaf.range] == &range) CSNAP_TRY(give_up(leaf));
    return {};
  }

  Result<std::vector<NodeEntry>> build_level(const std::vector<NodeEntry>& below, unsigned level) {
    const std::size_t nodes = (below.size() + kMaxNodeEntries - 1) / kMaxNodeEntries;
    std::vector<NodeEntry> out;
    for (std::size_t i = 0; i < nodes; ++i) {
      const std::size_t from = below.size() * i / nodes, to = below.size() * (i + 1) / nodes;
      if (const Status status = m_.edit([&]() -> Status {
            CSNAP_TRY(m_.state_.metadata().ensure(1));
            const BlockAddress address = m_.state_.metadata().allocate_block();
            const MutableBlock block = m_.state_.cache().create(address, BlockKind::node);
            node_init(block, level);
            for (std::size_t k = from; k < to; ++k)
              node_insert(block, static_cast<unsigned>(k - from), below[k]);
            out.push_back({below[from].key, address, NodeView(block).mask_union()});
            return {};
          });
          !status.ok())
        return status.with_context("making the nodes above leaves that were found again");
    }
    return out;
  }

  // The opposite of keep().
  Status give_up(Leaf& leaf) {
    leaf.stays = false;
    --m_.done_.leaves_saved;
    return m_.edit([&]() -> Status {
      CSNAP_ASSIGN(const ConstBlock block, m_.state_.cache().read(leaf.block, BlockKind::leaf));
      const LeafView view(block);
      for (unsigned i = 0; i < view.entries(); ++i) {
        m_.done_.exceptions_saved -= view.length(i);
        if (is_lost(view.store(i))) continue;
        const StoreRun run{view.store(i), view.length(i)};
        data_blocks().insert(blocks_of(run));
        tree_.chunks.erase(run);
      }
      return {};
    });
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

  bool lies_in_store(StoreRun run) const {
    return run.start >= superblock_.first_chunk() && run.end().value <= superblock_.store_chunks();
  }

  // Can data be there, is the place in use, and by nobody that we know?
  bool ours(StoreRun run) {
    if (!lies_in_store(run)) return false;
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
      const ChunkRun keys = range.bad.ref.keys;
      const ShareMask mask = range.bad.ref.mask;
      Chunk at = keys.start;
      for (const Leaf& leaf : leaves_) {
        if (leaf.keys.end() <= at || leaf.keys.start >= keys.end()) continue;
        if (leaf.keys.start > at) CSNAP_TRY(m_.lose({at, leaf.keys.start - at}, mask));
        at = leaf.keys.end();
      }
      if (at < keys.end()) CSNAP_TRY(m_.lose({at, keys.end() - at}, mask));
    }
    return {};
  }

  Mender& m_;
  TreeFacts& tree_;
  const bool name_bits_;
  const Superblock& superblock_;
  ChunkSet blocks_, data_blocks_;  // in use, and nobody knows for what
  ChunkSet unread_;                // of blocks_
  // Blocks where leaves say that their data is; where more than one says so.
  ChunkSet claimed_, contested_;
  const std::uint64_t tree_blocks_;  // that the tree had
  std::uint64_t nodes_ = 0;          // sound, found among the unexplained
  std::vector<Range> ranges_;
  std::vector<Leaf> leaves_;
};

Status Mender::salvage(TreeFacts& tree, bool name_bits) {
  return Salvage(*this, tree, name_bits).run();
}

}  // namespace csnap
