// SPDX-License-Identifier: Apache-2.0
#include "store/store_use.h"

#include <algorithm>
#include <array>

#include "store/superblock.h"

namespace csnap {
namespace {

constexpr std::array<const char*, kStoreUses> kUseNames{
    "reserved",     "superblock", "data-label", "bitmap",    "checksums", "snapshot-table",
    "client-table", "journal",    "tree-node",  "tree-leaf", "data",      "pool",
    "held",         "free",       "used",       "not-seen"};

}  // namespace

std::string use_names(StoreUses uses) {
  std::string text;
  for (unsigned i = 0; i < kStoreUses; ++i)
    if (uses >> i & 1) text += (text.empty() ? "" : "+") + std::string(kUseNames[i]);
  return text;
}

std::vector<StoreArea> fixed_areas(const Superblock& s) {
  std::vector<StoreArea> known;
  if (s.separate_metadata) {
    known = {{kDataLabel.value, 1, StoreUse::data_label}};
  } else {
    known = {{kSuperblockA.value, 1, StoreUse::superblock},
             {kSuperblockB.value, 1, StoreUse::superblock},
             {s.data.bitmap.value, s.data.bitmap_blocks, StoreUse::bitmap},
             {s.checksums.value, s.checksum_blocks, StoreUse::checksums},
             {s.snapshots.value, s.snapshot_blocks, StoreUse::snapshot_table},
             {s.clients.value, s.client_blocks, StoreUse::client_table},
             {s.journal.value, s.journal_blocks, StoreUse::journal}};
  }
  std::sort(known.begin(), known.end(),
            [](const StoreArea& a, const StoreArea& b) { return a.start < b.start; });
  const std::uint64_t end = s.first_chunk().value * s.blocks_per_chunk();
  std::vector<StoreArea> areas;
  std::uint64_t at = 0;
  for (const StoreArea& area : known) {
    if (area.count == 0) continue;
    if (area.start > at) areas.push_back({at, area.start - at, StoreUse::reserved});
    areas.push_back(area);
    at = area.end();
  }
  if (at < end) areas.push_back({at, end - at, StoreUse::reserved});
  return areas;
}

}  // namespace csnap
