// SPDX-License-Identifier: Apache-2.0
#include "server/service_replies.h"

#include "proto/convert.h"
#include "proto/convert_replication.h"
#include "proto/text.h"

namespace csnap {
namespace {

void fill_store(const EngineStatus& status, wire::GetStatusReply& out) {
  const Superblock& superblock = status.superblock;
  out.set_store(uuid_to_proto(superblock.uuid));
  out.set_label(clean_utf8(superblock.label, kMaxReplyText));
  out.set_epoch(superblock.epoch.value);
  out.set_chunk_size(superblock.chunk_size());
  out.set_origin_size(superblock.origin_size);
  out.set_separate_metadata(superblock.separate_metadata);
  out.set_store_chunks(status.store_chunks);
  out.set_free_chunks(status.free_chunks);
  out.set_held_chunks(status.held_chunks);
  out.set_exception_chunks(status.exception_chunks);
  out.set_tree_blocks(superblock.tree_blocks);
  out.set_tree_levels(superblock.tree_levels);
}

void fill_replication(const Replication& replication, wire::GetStatusReply& out) {
  out.set_role(role_to_proto(replication.role));
  if (replication.receiving) receiving_to_proto(*replication.receiving, *out.mutable_receiving());
  for (const Replica& replica : replication.replicas)
    replica_to_proto(replica, *out.add_replicas());
}

void fill_server(const EngineStatus& status, wire::GetStatusReply& out) {
  out.set_snapshots(status.snapshots);
  out.set_deleting(status.deleting);
  out.set_clients(status.clients);
  out.set_failed(status.failed);
  out.set_failure(clean_utf8(status.failure, kMaxReplyText));
  out.set_cache_blocks(status.cache_blocks);
  out.set_cache_capacity(status.cache_capacity);
  out.set_dirty_blocks(status.dirty_blocks);
  out.set_cache_hits(status.cache_hits);
  out.set_cache_misses(status.cache_misses);
  out.set_journal_blocks(status.journal_blocks);
  out.set_journal_live_blocks(status.journal_live_blocks);
  out.set_commits(status.commits);
  out.set_checkpoints(status.checkpoints);
  out.set_copied_chunks(status.copied_chunks);
  out.set_copied_by_clients(status.copied_by_clients);
  out.set_origin_writes(status.origin_writes);
  out.set_snapshot_reads(status.snapshot_reads);
  out.set_snapshot_writes(status.snapshot_writes);
}

wire::MapSpaceReply::Use use_to_proto(StoreUse use) {
  switch (use) {
    case StoreUse::superblock:
      return wire::MapSpaceReply::USE_SUPERBLOCK;
    case StoreUse::data_label:
      return wire::MapSpaceReply::USE_DATA_LABEL;
    case StoreUse::bitmap:
      return wire::MapSpaceReply::USE_BITMAP;
    case StoreUse::checksums:
      return wire::MapSpaceReply::USE_CHECKSUMS;
    case StoreUse::snapshot_table:
      return wire::MapSpaceReply::USE_SNAPSHOT_TABLE;
    case StoreUse::client_table:
      return wire::MapSpaceReply::USE_CLIENT_TABLE;
    case StoreUse::journal:
      return wire::MapSpaceReply::USE_JOURNAL;
    case StoreUse::used:
      return wire::MapSpaceReply::USE_USED;
    case StoreUse::pool:
      return wire::MapSpaceReply::USE_POOL;
    case StoreUse::held:
      return wire::MapSpaceReply::USE_HELD;
    case StoreUse::free:
      return wire::MapSpaceReply::USE_FREE;
    default:
      return wire::MapSpaceReply::USE_RESERVED;
  }
}

}  // namespace

void fill(const Snapshot& snapshot, std::uint64_t clients, wire::SnapshotInfo& out) {
  out.set_id(snapshot.id.value);
  out.set_uuid(uuid_to_proto(snapshot.uuid));
  out.set_name(clean_utf8(snapshot.name, kMaxSnapshotName));
  out.set_created_ns(snapshot.created);
  out.set_bit(snapshot.bit);
  out.set_deleting(snapshot.deleting);
  out.set_deleted_up_to(snapshot.deleted_up_to.value);
  out.set_clients(clients);
  out.set_transid(snapshot.transid);
  out.set_written(snapshot.written);
  if (!snapshot.received) return;
  identity_to_proto(snapshot.received->identity, *out.mutable_received());
  out.set_received_path(snapshot.received->path);
}

void fill(const EngineStatus& status, wire::GetStatusReply& out) {
  fill_store(status, out);
  fill_server(status, out);
  fill_replication(status.replication, out);
}

void fill(const Engine::DumpPage& page, wire::DumpExceptionsReply& out) {
  for (const auto& line : page.lines) {
    auto* l = out.add_lines();
    l->set_start(line.chunks.start.value);
    l->set_count(line.chunks.count);
    l->set_store_chunk(line.store.value);
    l->set_mask(line.mask);
  }
  out.set_next(page.next.value);
  out.set_more(page.more);
}

void fill(const Engine::CheckPage& page, wire::CheckStoreReply& out) {
  out.set_id(page.id);
  out.set_done(page.done);
  out.set_progress(page.progress);
  for (const LiveFinding& finding : page.findings) {
    auto* f = out.add_findings();
    f->set_damage(finding.damage);
    f->set_what(clean_utf8(finding.what, kMaxReplyText));
    f->set_start(finding.chunks.start.value);
    f->set_count(finding.chunks.count);
    f->set_mask(finding.mask);
  }
  out.set_dropped(page.dropped);
  out.set_blocks(page.counters.blocks);
  out.set_exceptions(page.counters.exceptions);
  out.set_lost(page.counters.lost);
  out.set_data_chunks(page.counters.data);
  out.set_leaked(page.counters.leaked);
}

void fill(const Engine::TreePage& page, wire::DumpTreeReply& out) {
  const auto entries = static_cast<int>(page.entries.size());
  out.mutable_starts()->Resize(entries, 0);
  out.mutable_counts()->Resize(entries, 0);
  out.mutable_store_chunks()->Resize(entries, 0);
  out.mutable_masks()->Resize(entries, 0);
  auto* start = out.mutable_starts()->mutable_data();
  auto* count = out.mutable_counts()->mutable_data();
  auto* store_chunk = out.mutable_store_chunks()->mutable_data();
  auto* mask = out.mutable_masks()->mutable_data();
  for (const LeafEntry& entry : page.entries) {
    *start++ = entry.chunk.value;
    *count++ = entry.length;
    *store_chunk++ = entry.store.value;
    *mask++ = entry.mask;
  }
  for (const Engine::TreeBlock& block : page.blocks) {
    auto* b = out.add_blocks();
    b->set_block(block.block.value);
    b->set_level(block.level);
    b->set_start(block.keys.start.value);
    b->set_count(block.keys.count);
    b->set_mask(block.mask);
  }
  out.set_next(page.next.value);
  out.set_more(page.more);
}

void fill(const Engine::SpacePage& page, wire::MapSpaceReply& out) {
  for (const StoreArea& area : page.areas) {
    auto* a = out.add_areas();
    a->set_count(area.count);
    a->set_use(use_to_proto(area.use));
  }
  out.set_more(page.more);
}

}  // namespace csnap
