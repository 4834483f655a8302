// SPDX-License-Identifier: Apache-2.0
#include "server/check.h"

#include <algorithm>
#include <utility>

#include "server/check_impl.h"

namespace csnap {

Status StoreCheck::run() {
  report_.complete = false;
  CSNAP_ASSIGN(const bool superblock, look_at_superblocks());
  if (!superblock) return {};
  CSNAP_ASSIGN(const bool devices, look_at_devices());
  if (!devices) return {};
  CSNAP_ASSIGN(const bool opened, open_state());
  if (!opened) return {};
  report_.complete = true;
  look_at_all();
  return {};
}

void StoreCheck::look_at_all() {
  report_.counts = {};
  reader_ = std::make_unique<BlockReader>(metadata_, state().cache(), on_disk_.uuid);
  look_at_tree();
  look_at_space();
  look_at_checksums();
  report_tree();
}

Wounds StoreCheck::take_wounds() {
  Wounds wounds;
  wounds.tree = std::move(tree_);
  wounds.snapshot_table = std::exchange(snapshots_damaged_, false);
  wounds.client_table = std::exchange(clients_damaged_, false);
  wounds.checksum_blocks = std::move(bad_checksums_);
  bad_checksums_.clear();
  wounds.lost = std::exchange(lost_, {});
  return wounds;
}

CheckReport StoreCheck::take_report() {
  if (state_) {
    report_.superblock = state().superblock();
    report_.snapshots = state().snapshots().all();
    report_.counts.commits = recovered_.commits;
    report_.counts.records = recovered_.records;
    report_.counts.snapshots = report_.snapshots.size();
    report_.counts.clients = state().clients().all().size();
  }
  std::stable_sort(report_.findings.begin(), report_.findings.end(),
                   [](const Finding& a, const Finding& b) {
                     return std::pair(a.area, a.block) < std::pair(b.area, b.block);
                   });
  return std::move(report_);
}

Finding& StoreCheck::add(CheckArea area, Severity severity, std::optional<BlockAddress> block,
                         std::string text) {
  report_.findings.push_back({area, severity, block, std::move(text), {}});
  return report_.findings.back();
}

void StoreCheck::add_lost(Finding& finding, ChunkRun chunks, ShareMask mask) const {
  const SnapshotTable& table = std::as_const(*state_).snapshots();
  const Superblock& superblock = std::as_const(*state_).superblock();
  const Chunk end(std::min(chunks.end().value, superblock.origin_chunks()));
  if (end <= chunks.start) return;
  LostRange range;
  range.chunks = {chunks.start, end - chunks.start};
  range.mask = mask & (table.active() | table.deleting());
  if (!finding.lost.empty()) {
    LostRange& last = finding.lost.back();
    if (last.chunks.end() == chunks.start && last.mask == range.mask) {
      last.chunks.count += range.chunks.count;
      return;
    }
  }
  for (const Snapshot& snapshot : table.all())
    if (!snapshot.deleting && (mask & mask_of_bit(snapshot.bit)))
      range.snapshots.push_back(snapshot.name);
  finding.lost.push_back(std::move(range));
}

Result<CheckReport> check_store(Device& store, Device* metadata, const CheckOptions& options) {
  StoreCheck check(store, metadata, options);
  CSNAP_TRY(check.run());
  return check.take_report();
}

}  // namespace csnap
