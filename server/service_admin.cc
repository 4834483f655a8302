// SPDX-License-Identifier: Apache-2.0
// Administration, and what everybody may ask.
#include <algorithm>

#include "proto/convert_replication.h"
#include "proto/text.h"
#include "server/service_impl.h"
#include "server/service_replies.h"

namespace csnap {
namespace {

// So many always fit a body.
constexpr std::uint64_t kMaxLocks = 8192;
constexpr std::uint64_t kMaxClients = 2048;
constexpr std::uint64_t kMaxLines = 16384;
constexpr std::uint64_t kMaxEntries = 32768;
constexpr std::uint64_t kMaxAreas = 32768;

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
  fill(status, out);
  if (c.role != wire::ROLE_OBSERVER) describe_devices(*out.mutable_devices());
  out.set_connections(channels.size());
  out.set_incarnation(uuid_to_proto(options.incarnation));
  out.set_server_name(clean_utf8(options.server_name, kMaxReplyText));
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
        if (dumped.ok()) fill(*dumped, out);
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
