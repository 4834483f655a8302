// SPDX-License-Identifier: Apache-2.0
#include "server/mend.h"

#include <algorithm>

namespace csnap {
namespace {

// Of one edit: sixteen entries.
constexpr std::uint64_t kLoseAtOnce = 4096;

void add_run(std::vector<std::pair<ChunkRun, ShareMask>>& runs, ChunkRun run, ShareMask mask) {
  if (!runs.empty() && runs.back().second == mask && runs.back().first.end() == run.start)
    runs.back().first.count += run.count;
  else
    runs.emplace_back(run, mask);
}

}  // namespace

void Mended::add(const Mended& more) {
  blocks_cut += more.blocks_cut;
  leaves_saved += more.leaves_saved;
  exceptions_saved += more.exceptions_saved;
  exceptions_cleared += more.exceptions_cleared;
  chunks_rotten += more.chunks_rotten;
  masks_corrected += more.masks_corrected;
  bits_cleared += more.bits_cleared;
  bitmap_blocks += more.bitmap_blocks;
  checksum_blocks += more.checksum_blocks;
  blocks_reclaimed += more.blocks_reclaimed;
  recovered.insert(recovered.end(), more.recovered.begin(), more.recovered.end());
  lost.insert(lost.end(), more.lost.begin(), more.lost.end());
}

Mender::Mender(StoreState& state, Device& metadata)
    : state_(state), reader_(metadata, state.cache(), state.superblock().uuid) {}

Status Mender::mend(Wounds& wounds) {
  TreeFacts& tree = wounds.tree;
  if (wounds.snapshot_table) CSNAP_TRY(name_snapshots(std::exchange(tree.foreign.bits, 0)));
  if (wounds.snapshot_table || wounds.client_table) state_.tables_changed();
  // What hangs below a damaged node is in use and unknown: it stays in use until it was looked at.
  const bool orphans = std::any_of(tree.bad.begin(), tree.bad.end(),
                                   [](const BadBlock& bad) { return bad.level > 0; });
  CSNAP_TRY(mend_checksums(wounds.checksum_blocks));
  CSNAP_TRY(mend_bitmaps(tree, !orphans));
  CSNAP_TRY(orphans ? salvage(tree, wounds.snapshot_table) : cut_and_correct(tree));
  CSNAP_TRY(drop_exceptions(tree));
  done_.bits_cleared += tree.leftover.entries + (tree.foreign.bits ? tree.foreign.entries : 0);
  if (tree.foreign.bits) CSNAP_TRY(clear_bits(tree.foreign.bits, Chunk(kMaxChunks)));
  for (const Snapshot& snapshot : std::as_const(state_).snapshots().all())
    if (tree.leftover.bits & mask_of_bit(snapshot.bit))
      CSNAP_TRY(clear_bits(mask_of_bit(snapshot.bit), snapshot.deleted_up_to));
  for (const auto& [run, mask] : wounds.lost) CSNAP_TRY(lose(run, mask));
  return settle_counts();
}

// The nodes from the root down to the one at `level`, with the entries that lead to the key.
Result<Mender::Way> Mender::way_to(Chunk key, unsigned level) {
  Way way;
  const Superblock& superblock = state_.superblock();
  BlockAddress at = superblock.tree_root;
  for (unsigned l = superblock.tree_levels; l-- > level;) {
    CSNAP_ASSIGN(const ConstBlock block, state_.cache().read(at, BlockKind::node));
    const NodeView node(block);
    way.push_back({at, node.find(key)});
    at = node.child(way.back().index);
  }
  return way;
}

// The masks above the first `depth` nodes of the way, from what is below them. REQUIRES: all of
// them are in memory.
Status Mender::raise_masks(const Way& way, std::size_t depth) {
  for (; depth >= 2; --depth) {
    CSNAP_ASSIGN(const ConstBlock child, state_.cache().read(way[depth - 1].node, BlockKind::node));
    const ShareMask mask = NodeView(child).mask_union();
    CSNAP_ASSIGN(const MutableBlock parent,
                 state_.cache().edit(way[depth - 2].node, BlockKind::node));
    node_set_mask(parent, way[depth - 2].index, mask);
  }
  return {};
}

// A node's first key is its lower bound, and must stay that: what is inserted below it would come
// to lie left of it. REQUIRES of `at`, a first child: the keys from `key` on are its own now.
Status Mender::lower_first_keys(BlockAddress at, unsigned level, Chunk key,
                                const std::vector<BadBlock>& bad) {
  for (; level > 0; --level) {
    if (std::any_of(bad.begin(), bad.end(), [&](const BadBlock& b) { return b.ref.block == at; }))
      return {};
    CSNAP_ASSIGN(const ConstBlock block, state_.cache().read(at, BlockKind::node));
    if (NodeView(block).key(0) <= key) return {};
    CSNAP_ASSIGN(const MutableBlock node, state_.cache().edit(at, BlockKind::node));
    NodeEntry first = NodeView(node).entry(0);
    first.key = key;
    node_replace(node, 0, first);
    at = NodeView(node).child(0);
  }
  return {};
}

Status Mender::cut(const BadBlock& bad, const std::vector<BadBlock>& others) {
  Superblock& superblock = state_.superblock();
  ++done_.blocks_cut;
  return edit([&]() -> Status {
    std::size_t depth = 0;
    Way way;
    if (bad.ref.parent.value != 0 && superblock.tree_levels > bad.level + 1) {
      CSNAP_ASSIGN(way, way_to(bad.ref.keys.start, bad.level + 1));
      CSNAP_ASSIGN(const ConstBlock parent, state_.cache().read(way.back().node, BlockKind::node));
      if (NodeView(parent).child(way.back().index) != bad.ref.block) return {};
      // A node that leads nowhere goes with it.
      for (depth = way.size(); depth > 0; --depth) {
        CSNAP_ASSIGN(const ConstBlock node,
                     state_.cache().read(way[depth - 1].node, BlockKind::node));
        if (NodeView(node).entries() > 1) break;
      }
    }
    if (depth == 0) {
      superblock.tree_levels = 0;
      superblock.tree_root = BlockAddress(0);
      superblock.tree_blocks = 0;
      return {};
    }
    CSNAP_ASSIGN(const MutableBlock node,
                 state_.cache().edit(way[depth - 1].node, BlockKind::node));
    // Before anything is changed: what has to be read comes in first.
    if (const NodeView view(node); way[depth - 1].index == 0)
      CSNAP_TRY(lower_first_keys(view.child(1), view.level() - 1, view.key(0), others));
    node_remove(node, way[depth - 1].index);
    return raise_masks(way, depth);
  });
}

// Puts a sound block where a damaged one was. The root may come to lie on another level.
Result<bool> Mender::replace(const BadBlock& bad, const NodeEntry& by, unsigned level) {
  Superblock& superblock = state_.superblock();
  bool replaced = false;
  const Status status = edit([&]() -> Status {
    if (bad.ref.parent.value == 0) {
      replaced = superblock.tree_root == bad.ref.block;
      if (!replaced) return {};
      superblock.tree_root = by.child;
      superblock.tree_levels = level + 1;
      return {};
    }
    if (superblock.tree_levels <= bad.level + 1) return {};
    CSNAP_ASSIGN(const Way way, way_to(bad.ref.keys.start, bad.level + 1));
    const unsigned index = way.back().index;
    CSNAP_ASSIGN(const ConstBlock parent, state_.cache().read(way.back().node, BlockKind::node));
    if (NodeView(parent).child(index) != bad.ref.block) return {};
    CSNAP_ASSIGN(const MutableBlock node, state_.cache().edit(way.back().node, BlockKind::node));
    const Chunk key = NodeView(node).key(index);
    node_replace(node, index, {key, by.child, by.mask});
    replaced = true;
    return raise_masks(way, way.size());
  });
  if (!status.ok()) return status;
  if (replaced) ++done_.blocks_cut;
  return replaced;
}

Status Mender::cut_and_correct(const TreeFacts& tree) {
  for (const BadBlock& bad : tree.bad) CSNAP_TRY(cut(bad, tree.bad));
  for (const WrongMask& wrong : tree.masks) CSNAP_TRY(correct_mask(wrong));
  return {};
}

Status Mender::correct_mask(const WrongMask& wrong) {
  ++done_.masks_corrected;
  return edit([&]() -> Status {
    if (state_.superblock().tree_levels <= wrong.level + 1) return {};
    CSNAP_ASSIGN(const Way way, way_to(wrong.ref.keys.start, wrong.level + 1));
    CSNAP_ASSIGN(const MutableBlock parent, state_.cache().edit(way.back().node, BlockKind::node));
    if (NodeView(parent).child(way.back().index) != wrong.ref.block) return {};
    ShareMask found = wrong.found;
    if (wrong.level > 0) {
      // It may have been changed since it was looked at.
      CSNAP_ASSIGN(const ConstBlock child, state_.cache().read(wrong.ref.block, BlockKind::node));
      found = NodeView(child).mask_union();
    }
    node_set_mask(parent, way.back().index, found);
    return raise_masks(way, way.size());
  });
}

// Marks chunks as lost for those of the snapshots that have no exception there.
Status Mender::lose(ChunkRun run, ShareMask mask) {
  const SnapshotTable& table = std::as_const(state_).snapshots();
  mask &= table.active() | table.deleting();
  const Chunk end(std::min(run.end().value, state_.superblock().origin_chunks()));
  Mapping mapping;
  for (Chunk at = run.start; at < end && mask != 0; at = mapping.chunks.end()) {
    ShareMask bits = 0;
    if (const Status status = edit([&]() -> Status {
          CSNAP_TRY(state_.tree().lookup(at, std::min(end - at, kLoseAtOnce), mapping));
          bits = mask & ~mapping.shared;
          if (bits == 0) return {};
          CSNAP_TRY(state_.tree().prepare(mapping.chunks, ExceptionTree::Change::insert));
          state_.tree().insert(mapping.chunks, lost_store(mapping.chunks.start), bits);
          return {};
        });
        !status.ok())
      return status.with_context("noting what is lost");
    if (bits != 0) add_run(done_.lost, mapping.chunks, bits);
  }
  return {};
}

Status Mender::clear(ChunkRun run, ShareMask mask) {
  std::vector<StoreRun> freed;  // the bitmaps are worked out anew
  return edit([&]() -> Status {
    CSNAP_TRY(state_.tree().prepare(run, ExceptionTree::Change::clear));
    state_.tree().clear(run, mask, freed);
    return {};
  });
}

Status Mender::make_way(const ExceptionAdded& record, bool name_bits) {
  const SnapshotTable& table = std::as_const(state_).snapshots();
  const ShareMask unknown = record.mask & ~(table.active() | table.deleting());
  if (unknown != 0 && name_bits) CSNAP_TRY(name_snapshots(unknown));
  Mapping mapping;
  const Chunk end = record.chunk + record.crcs.size();
  for (Chunk at = record.chunk; at < end; at = mapping.chunks.end()) {
    if (const Status status = edit([&] { return state_.tree().lookup(at, end - at, mapping); });
        !status.ok())
      return status;
    ShareMask lost = 0;
    for (unsigned i = 0; i < mapping.count; ++i)
      if (is_lost(mapping.exceptions[i].store)) lost |= mapping.exceptions[i].mask;
    if (lost & record.mask) CSNAP_TRY(clear(mapping.chunks, lost & record.mask));
  }
  return {};
}

// Takes bits out of all exceptions below `end`.
Status Mender::clear_bits(ShareMask bits, Chunk end) {
  for (Chunk at(0); at < end;) {
    std::optional<ChunkRun> leaf;
    if (const Status status = edit([&]() -> Status {
          CSNAP_ASSIGN(leaf, state_.tree().next_leaf_with(bits, at));
          if (!leaf || leaf->start >= end) return {};
          leaf->count = std::min(leaf->end(), end) - leaf->start;
          CSNAP_TRY(state_.tree().prepare(*leaf, ExceptionTree::Change::clear));
          std::vector<StoreRun> freed;
          state_.tree().clear(*leaf, bits, freed);
          return {};
        });
        !status.ok())
      return status;
    if (!leaf || leaf->start >= end) return {};
    at = leaf->end();
  }
  return {};
}

// Exceptions that cannot be right go; what they were for is lost.
Status Mender::drop_exceptions(const TreeFacts& tree) {
  for (const BadException& bad : tree.exceptions_bad) {
    if (bad.why == BadException::Why::bad_data)
      done_.chunks_rotten += bad.chunks.count;
    else
      ++done_.exceptions_cleared;
    CSNAP_TRY(clear(bad.chunks, bad.mask));
    CSNAP_TRY(lose(bad.chunks, bad.mask));
  }
  for (const BadBlock& bad : tree.bad)
    if (bad.level == 0) CSNAP_TRY(lose(bad.ref.keys, bad.ref.mask));
  return {};
}

// Snapshots whose entries in the table are lost, but not what they hold.
Status Mender::name_snapshots(ShareMask bits) {
  SnapshotTable& table = state_.snapshots();
  Superblock& superblock = state_.superblock();
  for (unsigned bit = 0; bit < kMaxSnapshots; ++bit) {
    if (!(bits & mask_of_bit(bit))) continue;
    Snapshot snapshot;
    // It had an id that is in use by nobody now.
    for (snapshot.id = SnapshotId(1); table.find(snapshot.id) != nullptr;) ++snapshot.id;
    superblock.next_snapshot = std::max(superblock.next_snapshot, snapshot.id + 1);
    snapshot.uuid = superblock.uuid;
    snapshot.uuid.bytes[0] = static_cast<std::uint8_t>(snapshot.uuid.bytes[0] + bit + 1);
    snapshot.bit = bit;
    snapshot.name = "recovered-" + std::to_string(bit);
    snapshot.written = true;  // nothing is known of what it was sent or received as
    while (table.find_live(snapshot.name) != nullptr) snapshot.name += "-again";
    done_.recovered.push_back(snapshot.name);
    CSNAP_TRY(table.add(std::move(snapshot)));
  }
  return {};
}

}  // namespace csnap
