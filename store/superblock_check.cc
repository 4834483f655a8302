// SPDX-License-Identifier: Apache-2.0
#include "store/superblock_check.h"

#include <algorithm>
#include <array>
#include <string>

#include "store/checksums.h"
#include "store/space.h"
#include "store/tables_format.h"

namespace csnap {
namespace {

// Half-full nodes: more levels than this would take more blocks than there can be.
constexpr std::uint32_t kMaxLevels = 10;

Status bad(const std::string& what) {
  return Status(Code::corrupt, "the superblock contradicts itself: " + what);
}

Status check_space(const SpaceLayout& space, const std::string& name) {
  if (space.chunk_shift < kMinChunkShift || space.chunk_shift > kMaxChunkShift)
    return bad(name + ": a chunk of 2^" + std::to_string(space.chunk_shift) + " bytes");
  const std::uint64_t per_chunk = 1ULL << (space.chunk_shift - kBlockShift);
  if (space.blocks == 0 || space.blocks > kMaxBlocks || space.blocks % per_chunk != 0)
    return bad(name + ": " + std::to_string(space.blocks) + " blocks in all");
  if (space.reserved > space.blocks || space.reserved % per_chunk != 0)
    return bad(name + ": " + std::to_string(space.reserved) + " blocks reserved");
  if (space.bitmap_blocks != bitmap_blocks_for(space.blocks))
    return bad(name + ": " + std::to_string(space.bitmap_blocks) + " bitmap blocks");
  if (space.bitmap_ready < bitmap_blocks_for(space.reserved) ||
      space.bitmap_ready > space.bitmap_blocks)
    return bad(name + ": " + std::to_string(space.bitmap_ready) + " bitmap blocks ready");
  if (space.free_blocks > space.blocks - space.reserved)
    return bad(name + ": " + std::to_string(space.free_blocks) + " free blocks");
  if (space.free_chunks > space.free_blocks / per_chunk)
    return bad(name + ": " + std::to_string(space.free_chunks) + " free chunks");
  if (space.cursor > space.blocks)
    return bad(name + ": cursor at block " + std::to_string(space.cursor));
  return {};
}

struct Area {
  const char* name;
  BlockAddress start;
  std::uint64_t blocks;
};

// Inside the reserved blocks, and none on top of another.
Status check_areas(const Superblock& s, std::uint64_t reserved) {
  std::array<Area, 8> areas{{
      {"superblock A", kSuperblockA, 1},
      {"superblock B", kSuperblockB, 1},
      {"snapshot table", s.snapshots, s.snapshot_blocks},
      {"client table", s.clients, s.client_blocks},
      {"bitmap of the data", s.data.bitmap, s.data.bitmap_blocks},
      {"bitmap of the metadata", s.metadata.bitmap, s.metadata.bitmap_blocks},
      {"checksum table", s.checksums, s.checksum_blocks},
      {"journal", s.journal, s.journal_blocks},
  }};
  for (const Area& a : areas) {
    if (a.blocks == 0) continue;
    if (a.start.value == 0 || a.blocks > reserved || a.start.value > reserved - a.blocks)
      return bad(std::string(a.name) + " at block " + std::to_string(a.start.value) + ", " +
                 std::to_string(a.blocks) + " long, outside the reserved blocks");
  }
  std::sort(areas.begin(), areas.end(),
            [](const Area& a, const Area& b) { return a.start < b.start; });
  const Area* before = nullptr;
  for (const Area& a : areas) {
    if (a.blocks == 0) continue;
    if (before && before->start + before->blocks > a.start)
      return bad(std::string(before->name) + " and " + a.name + " overlap");
    before = &a;
  }
  return {};
}

Status check_tree(const Superblock& s, const SpaceLayout& meta) {
  if (s.tree_levels > kMaxLevels)
    return bad("a tree of " + std::to_string(s.tree_levels) + " levels");
  if ((s.tree_levels == 0) != (s.tree_blocks == 0) || s.tree_blocks > meta.blocks)
    return bad("a tree of " + std::to_string(s.tree_levels) + " levels and " +
               std::to_string(s.tree_blocks) + " blocks");
  if (s.tree_levels > 0 && (s.tree_root.value < meta.reserved || s.tree_root.value >= meta.blocks))
    return bad("the root of the tree at block " + std::to_string(s.tree_root.value));
  if (s.exceptions > s.store_chunks()) return bad(std::to_string(s.exceptions) + " exceptions");
  return {};
}

}  // namespace

Status check_superblock(const Superblock& s) {
  if (s.uuid.is_nil()) return bad("no UUID");
  if (s.data.chunk_shift != s.chunk_shift) return bad("two chunk sizes");
  if (s.is_copy() && s.separate_metadata) return bad("a copy of metadata that is on its own");
  CSNAP_TRY(check_space(s.data, "data"));
  if (s.store_chunks() > kLostStore) return bad(std::to_string(s.store_chunks()) + " chunks");
  if (s.separate_metadata) {
    CSNAP_TRY(check_space(s.metadata, "metadata"));
    if (s.metadata.chunk_shift != kBlockShift) return bad("chunks on the metadata device");
    if (s.data.reserved <= kDataLabel.value) return bad("no room for the data label");
  }
  const SpaceLayout& meta = s.metadata_space();
  if (s.origin_size == 0 || s.origin_chunks() > kMaxOriginChunks)
    return bad("an origin of " + std::to_string(s.origin_size) + " bytes");
  if (s.snapshot_blocks < kSnapshotBlocks)
    return bad(std::to_string(s.snapshot_blocks) + " blocks for the snapshot table");
  if (s.client_blocks < 2) return bad("no client table");
  if (s.checksum_blocks < checksum_blocks_for(s))
    return bad(std::to_string(s.checksum_blocks) + " blocks for the checksums");
  if (s.checksums_ready > s.checksum_blocks)
    return bad(std::to_string(s.checksums_ready) + " checksum blocks ready");
  if (s.journal_blocks < kMinJournalBlocks)
    return bad(std::to_string(s.journal_blocks) + " blocks for the journal");
  if (s.tail.block >= s.journal_blocks)
    return bad("the journal's tail at block " + std::to_string(s.tail.block));
  if (s.next_snapshot == kOrigin) return bad("the next snapshot would be the origin");
  CSNAP_TRY(check_areas(s, meta.reserved));
  return check_tree(s, meta);
}

}  // namespace csnap
