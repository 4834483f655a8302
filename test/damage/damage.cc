// SPDX-License-Identifier: Apache-2.0
#include "test/damage/damage.h"

#include "btree/check.h"
#include "journal/journal.h"
#include "server/recovery.h"
#include "store/aligned_buffer.h"

namespace csnap {

const char* name_of(Damage damage) {
  static constexpr std::array names{"flip", "zero", "swap", "duplicate"};
  static_assert(names.size() == kDamages.size());
  return names[static_cast<std::size_t>(damage)];
}

const char* name_of(Target target) {
  static constexpr std::array names{
      "superblock-a", "superblock-b", "superblocks", "data-label", "snapshots", "clients", "bitmap",
      "checksums",    "commit",       "journal",     "leaf",       "node",      "root",    "data"};
  static_assert(names.size() == kTargets.size());
  return names[static_cast<std::size_t>(target)];
}

Result<StoreMap> StoreMap::of(Device& store, Device* metadata) {
  StoreMap map;
  Device& meta = metadata ? *metadata : store;
  CSNAP_ASSIGN(const Recovered recovered, recover(store, meta, 16u << 20));
  const Superblock& s = recovered.state->superblock();
  map.list(Target::superblock_a) = {kSuperblockA};
  map.list(Target::superblock_b) = {kSuperblockB};
  map.list(Target::superblocks) = {kSuperblockA, kSuperblockB};
  if (metadata) map.list(Target::data_label) = {kDataLabel};
  const auto add = [&](Target target, BlockAddress first, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) map.list(target).push_back(first + i);
  };
  add(Target::snapshots, s.snapshots, s.snapshot_blocks);
  add(Target::clients, s.clients, s.client_blocks);
  add(Target::bitmap, s.data.bitmap, s.data.bitmap_ready);
  if (metadata) add(Target::bitmap, s.metadata.bitmap, s.metadata.bitmap_ready);
  add(Target::checksums, s.checksums, s.checksums_ready);
  CSNAP_TRY(scan_journal(meta, {s.journal, s.journal_blocks}, s.uuid, recovered.on_disk.tail,
                         [&](const ScannedCommit& commit) -> Status {
                           for (std::uint64_t i = 0; i < commit.blocks; ++i)
                             map.list(i == 0 ? Target::commit : Target::journal)
                                 .push_back(s.journal +
                                            (commit.position.block + i) % s.journal_blocks);
                           return {};
                         })
                .status());
  TreeWalk walk;
  walk.read = read_through(recovered.state->cache());
  walk.on_block = [&](BlockAddress block, BlockKind kind) {
    const bool root = block == s.tree_root;
    map.list(root                      ? Target::root
             : kind == BlockKind::leaf ? Target::leaf
                                       : Target::node)
        .push_back(block);
  };
  walk.on_exception = [&](ChunkRun run, StoreChunk place, ShareMask) {
    if (is_lost(place)) return;
    for (std::uint64_t i = 0; i < run.count; ++i)
      map.list(Target::data)
          .push_back(BlockAddress((place + i).value << (s.chunk_shift - kBlockShift)));
  };
  const TreeReport report = check_tree(s, walk);
  if (!report.sound()) return Status(Code::corrupt, report.findings.front().to_string());
  return map;
}

Status damage_block(Device& device, Damage damage, BlockAddress block, BlockAddress other,
                    std::uint64_t bit) {
  AlignedBuffer one(kBlockSize), two(kBlockSize);
  CSNAP_TRY(read_sync(device, block.value * kBlockSize, one.span()));
  CSNAP_TRY(read_sync(device, other.value * kBlockSize, two.span()));
  if (damage == Damage::flip)
    one.span()[bit / 8 % kBlockSize] ^= std::byte{1} << (bit % 8);
  else if (damage == Damage::zero)
    std::fill(one.span().begin(), one.span().end(), std::byte{0});
  if (damage == Damage::swap) CSNAP_TRY(write_sync(device, other.value * kBlockSize, one.span()));
  const bool from_other = damage == Damage::swap || damage == Damage::duplicate;
  CSNAP_TRY(write_sync(device, block.value * kBlockSize, (from_other ? two : one).span()));
  return flush_sync(device);
}

}  // namespace csnap
