// SPDX-License-Identifier: Apache-2.0
// Administration, and what everybody may ask.
#include <algorithm>

#include "proto/convert_replication.h"
#include "proto/text.h"
#include "server/service_impl.h"

namespace csnap {
namespace {

// So many always fit a body.
constexpr std::uint64_t kMaxLocks = 8192;
constexpr std::uint64_t kMaxClients = 2048;
constexpr std::uint64_t kMaxLines = 16384;
constexpr std::uint64_t kMaxEntries = 32768;
constexpr std::uint64_t kMaxAreas = 32768;
constexpr std::size_t kMaxText = 512;  // bytes, of a label or a failure

std::uint64_t page_size(std::uint32_t wanted, std::uint64_t most) {
  return wanted == 0 ? most : std::min<std::uint64_t>(wanted, most);
}

// The page of `all` from skip on; sets more.
template <class T>
std::span<const T> page(const std::vector<T>& all, std::uint64_t skip, std::uint64_t count,
                        bool& more) {
  const auto rest = std::span(all).subspan(std::min<std::uint64_t>(skip, all.size()));
  more = rest.size() > count;
  return rest.first(std::min<std::uint64_t>(count, rest.size()));
}

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

void fill_store(const EngineStatus& status, wire::GetStatusReply& out) {
  const Superblock& superblock = status.superblock;
  out.set_store(uuid_to_proto(superblock.uuid));
  out.set_label(clean_utf8(superblock.label, kMaxText));
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
  out.set_failure(clean_utf8(status.failure, kMaxText));
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

void fill(const Engine::CheckPage& page, wire::CheckStoreReply& out) {
  out.set_id(page.id);
  out.set_done(page.done);
  out.set_progress(page.progress);
  for (const LiveFinding& finding : page.findings) {
    auto* f = out.add_findings();
    f->set_damage(finding.damage);
    f->set_what(clean_utf8(finding.what, kMaxText));
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

}  // namespace

void Service::Impl::answer_admin(ConnectionId id, std::uint64_t request_id, const Status& status,
                                 wire::MessageType type,
                                 const google::protobuf::MessageLite& body) {
  Channel* c = channel(id);
  if (c == nullptr) return;
  settle(c, c->requests, request_id);
  if (status.ok())
    reply(*c, request_id, type, body);
  else
    refuse(*c, request_id, status);
}

Engine::Done Service::Impl::answer_of(const Channel& c, const Frame& f, wire::MessageType type,
                                      const google::protobuf::MessageLite& body) {
  const std::shared_ptr<google::protobuf::MessageLite> kept(body.New());
  return [this, id = c.id, request = f.header.request_id, type, kept](const Status& status) {
    answer_admin(id, request, status, type, *kept);
  };
}

void Service::Impl::on_create_snapshot(Channel& c, const Frame& f) {
  const auto* m = parse<wire::CreateSnapshot>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  std::optional<Uuid> receiver;
  if (!m->receiver().empty()) {
    const auto session = uuid_from_proto(m->receiver());
    if (!session.ok())
      return answer_admin(c.id, f.header.request_id, session.status(),
                          wire::MESSAGE_CREATE_SNAPSHOT_REPLY, wire::CreateSnapshotReply());
    receiver = *session;
  }
  engine->create_snapshot(
      m->name(), receiver,
      [this, id = c.id, request = f.header.request_id](const Result<Snapshot>& made) {
        wire::CreateSnapshotReply out;
        if (made.ok()) fill(*made, 0, *out.mutable_snapshot());
        answer_admin(id, request, made.status(), wire::MESSAGE_CREATE_SNAPSHOT_REPLY, out);
      });
}

void Service::Impl::on_delete_snapshot(Channel& c, const Frame& f) {
  const auto* m = parse<wire::DeleteSnapshot>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  engine->delete_snapshot(
      m->name(), m->force(),
      answer_of(c, f, wire::MESSAGE_DELETE_SNAPSHOT_REPLY, wire::DeleteSnapshotReply()));
}

void Service::Impl::on_rename_snapshot(Channel& c, const Frame& f) {
  const auto* m = parse<wire::RenameSnapshot>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  engine->rename_snapshot(
      m->from(), m->to(),
      answer_of(c, f, wire::MESSAGE_RENAME_SNAPSHOT_REPLY, wire::RenameSnapshotReply()));
}

void Service::Impl::on_seal_snapshot(Channel& c, const Frame& f) {
  const auto* m = parse<wire::SealSnapshot>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  engine->seal_snapshot(
      m->name(), [this, id = c.id, request = f.header.request_id](const Result<Snapshot>& sealed) {
        wire::SealSnapshotReply out;
        if (sealed.ok()) fill(*sealed, 0, *out.mutable_snapshot());
        answer_admin(id, request, sealed.status(), wire::MESSAGE_SEAL_SNAPSHOT_REPLY, out);
      });
}

void Service::Impl::on_set_role(Channel& c, const Frame& f) {
  const auto* m = parse<wire::SetRole>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  const auto told = answer_of(c, f, wire::MESSAGE_SET_ROLE_REPLY, wire::SetRoleReply());
  const auto role = role_from_proto(m->role());
  if (!role.ok()) return told(role.status());
  engine->set_role(*role, told);
}

void Service::Impl::on_set_receiving(Channel& c, const Frame& f) {
  const auto* m = parse<wire::SetReceiving>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  const auto told = answer_of(c, f, wire::MESSAGE_SET_RECEIVING_REPLY, wire::SetReceivingReply());
  const auto session = uuid_from_proto(m->session());
  if (!session.ok()) return told(session.status().with_context("session"));
  if (!m->has_receiving()) return engine->set_receiving(*session, std::nullopt, told);
  auto receiving = receiving_from_proto(m->receiving());
  if (!receiving.ok()) return told(receiving.status());
  engine->set_receiving(*session, std::move(receiving).value(), told);
}

void Service::Impl::on_set_replica(Channel& c, const Frame& f) {
  const auto* m = parse<wire::SetReplica>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  const auto told = answer_of(c, f, wire::MESSAGE_SET_REPLICA_REPLY, wire::SetReplicaReply());
  const auto replica = replica_from_proto(m->replica());
  if (!replica.ok()) return told(replica.status());
  if (m->forget()) return engine->forget_replica(replica->store, told);
  engine->set_replica(*replica, told);
}

void Service::Impl::on_list_snapshots(Channel& c, const Frame& f) {
  if (parse<wire::ListSnapshots>(c, f) == nullptr) return;
  wire::ListSnapshotsReply out;
  for (const auto& entry : engine->list())
    fill(entry.snapshot, entry.clients, *out.add_snapshots());
  out.set_volume_size(engine->origin_size());
  out.set_chunk_size(1ULL << engine->chunk_shift());
  out.set_store(uuid_to_proto(engine->store_uuid()));
  reply(c, f.header.request_id, wire::MESSAGE_LIST_SNAPSHOTS_REPLY, out);
}

void Service::Impl::on_get_status(Channel& c, const Frame& f) {
  if (parse<wire::GetStatus>(c, f) == nullptr) return;
  const EngineStatus status = engine->status();
  wire::GetStatusReply out;
  fill_store(status, out);
  fill_server(status, out);
  fill_replication(status.replication, out);
  if (c.role != wire::ROLE_OBSERVER) describe_devices(*out.mutable_devices());
  out.set_connections(channels.size());
  out.set_incarnation(uuid_to_proto(options.incarnation));
  out.set_server_name(clean_utf8(options.server_name, kMaxText));
  out.set_uptime_ms(now_ms - started_ms);
  reply(c, f.header.request_id, wire::MESSAGE_GET_STATUS_REPLY, out);
}

void Service::Impl::on_list_locks(Channel& c, const Frame& f) {
  const auto* m = parse<wire::ListLocks>(c, f);
  if (m == nullptr) return;
  wire::ListLocksReply out;
  bool more = false;
  const auto all = engine->locks();
  for (const auto& lock : page(all, m->skip(), page_size(m->limit(), kMaxLocks), more)) {
    auto* info = out.add_locks();
    info->set_client(uuid_to_proto(lock.client));
    info->set_volume(lock.volume.value);
    info->set_read_id(lock.read);
    info->set_start(lock.chunks.start.value);
    info->set_count(lock.chunks.count);
    info->set_waiting_writers(lock.waiting_writers);
  }
  out.set_more(more);
  reply(c, f.header.request_id, wire::MESSAGE_LIST_LOCKS_REPLY, out);
}

void Service::Impl::on_list_clients(Channel& c, const Frame& f) {
  const auto* m = parse<wire::ListClients>(c, f);
  if (m == nullptr) return;
  wire::ListClientsReply out;
  bool more = false;
  const auto all = engine->clients();
  for (const auto& client : page(all, m->skip(), page_size(m->limit(), kMaxClients), more)) {
    auto* info = out.add_clients();
    info->set_session(uuid_to_proto(client.id));
    info->set_volume(client.volume.value);
    info->set_resumed(client.resumed);
    info->set_read_only(client.read_only);
    info->set_reads(client.reads);
    info->set_provisional_chunks(client.provisional_chunks);
    info->set_silent_ms(now_ms - started_ms);
    const auto known = sessions.find(client.id);
    if (known == sessions.end()) continue;
    info->set_client_name(known->second->client_name);
    info->set_connected(known->second->channel != nullptr);
    info->set_silent_ms(now_ms - known->second->heard_ms);
  }
  out.set_more(more);
  reply(c, f.header.request_id, wire::MESSAGE_LIST_CLIENTS_REPLY, out);
}

void Service::Impl::on_dump(Channel& c, const Frame& f) {
  const auto* m = parse<wire::DumpExceptions>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  engine->dump(
      Chunk(m->from()), page_size(m->limit(), kMaxLines),
      [this, id = c.id, request = f.header.request_id](const Result<Engine::DumpPage>& dumped) {
        wire::DumpExceptionsReply out;
        if (dumped.ok()) {
          for (const auto& line : dumped->lines) {
            auto* l = out.add_lines();
            l->set_start(line.chunks.start.value);
            l->set_count(line.chunks.count);
            l->set_store_chunk(line.store.value);
            l->set_mask(line.mask);
          }
          out.set_next(dumped->next.value);
          out.set_more(dumped->more);
        }
        answer_admin(id, request, dumped.status(), wire::MESSAGE_DUMP_EXCEPTIONS_REPLY, out);
      });
}

void Service::Impl::on_check(Channel& c, const Frame& f) {
  const auto* m = parse<wire::CheckStore>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  engine->check({m->begin(), m->id(), m->data()}, [this, id = c.id, request = f.header.request_id](
                                                      const Result<Engine::CheckPage>& page) {
    wire::CheckStoreReply out;
    if (page.ok()) fill(*page, out);
    answer_admin(id, request, page.status(), wire::MESSAGE_CHECK_STORE_REPLY, out);
  });
}

void Service::Impl::on_dump_tree(Channel& c, const Frame& f) {
  const auto* m = parse<wire::DumpTree>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  engine->dump_tree(
      Chunk(m->from()), kMaxEntries,
      [this, id = c.id, request = f.header.request_id](const Result<Engine::TreePage>& page) {
        wire::DumpTreeReply out;
        if (page.ok()) fill(*page, out);
        answer_admin(id, request, page.status(), wire::MESSAGE_DUMP_TREE_REPLY, out);
      });
}

void Service::Impl::on_map_space(Channel& c, const Frame& f) {
  const auto* m = parse<wire::MapSpace>(c, f);
  if (m == nullptr || !admit(c, f, 0)) return;
  engine->map_space(
      m->from(), kMaxAreas,
      [this, id = c.id, request = f.header.request_id](const Result<Engine::SpacePage>& page) {
        wire::MapSpaceReply out;
        if (page.ok()) fill(*page, out);
        answer_admin(id, request, page.status(), wire::MESSAGE_MAP_SPACE_REPLY, out);
      });
}

}  // namespace csnap
