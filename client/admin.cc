// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "client/admin_impl.h"
#include "proto/convert.h"
#include "proto/convert_replication.h"

namespace csnap {

namespace {

Result<Admin::SnapshotEntry> entry_of(const wire::SnapshotInfo& info) {
  Admin::SnapshotEntry e;
  CSNAP_ASSIGN(e.uuid, uuid_from_proto(info.uuid()));
  e.id = info.id();
  e.name = info.name();
  e.created_ns = info.created_ns();
  e.bit = info.bit();
  e.deleting = info.deleting();
  e.deleted_up_to = info.deleted_up_to();
  e.clients = info.clients();
  e.transid = info.transid();
  e.written = info.written();
  if (!info.has_received()) return e;
  CSNAP_ASSIGN(e.received, identity_from_proto(info.received()));
  e.received_path = info.received_path();
  return e;
}

Admin::Device device_of(const wire::DeviceInfo& info) {
  const char* role = "unknown";
  if (info.kind() == wire::DeviceInfo::KIND_ORIGIN) role = "origin";
  if (info.kind() == wire::DeviceInfo::KIND_STORE) role = "store";
  if (info.kind() == wire::DeviceInfo::KIND_METADATA) role = "metadata";
  return {role, info.path(), info.size(), info.identity()};
}

void fill_server_status(const wire::GetStatusReply& r, Admin::StoreStatus& s) {
  s.server_name = r.server_name();
  s.uptime_ms = r.uptime_ms();
  s.failed = r.failed();
  s.failure = r.failure();
  s.cache_blocks = r.cache_blocks();
  s.cache_capacity = r.cache_capacity();
  s.dirty_blocks = r.dirty_blocks();
  s.cache_hits = r.cache_hits();
  s.cache_misses = r.cache_misses();
  s.journal_blocks = r.journal_blocks();
  s.journal_live_blocks = r.journal_live_blocks();
  s.commits = r.commits();
  s.checkpoints = r.checkpoints();
  s.copied_chunks = r.copied_chunks();
  s.copied_by_clients = r.copied_by_clients();
  s.origin_writes = r.origin_writes();
  s.snapshot_reads = r.snapshot_reads();
  s.snapshot_writes = r.snapshot_writes();
}

Result<Replication> replication_of(const wire::GetStatusReply& r) {
  Replication out;
  CSNAP_ASSIGN(out.role, role_from_proto(r.role()));
  if (r.has_receiving()) {
    CSNAP_ASSIGN(out.receiving, receiving_from_proto(r.receiving()));
  }
  for (const auto& info : r.replicas()) {
    CSNAP_ASSIGN(auto replica, replica_from_proto(info));
    out.replicas.push_back(std::move(replica));
  }
  return out;
}

Result<Admin::StoreStatus> status_of_reply(const wire::GetStatusReply& r) {
  Admin::StoreStatus s;
  CSNAP_ASSIGN(s.store, uuid_from_proto(r.store()));
  CSNAP_ASSIGN(s.incarnation, uuid_from_proto(r.incarnation()));
  s.label = r.label();
  s.epoch = r.epoch();
  s.chunk_size = r.chunk_size();
  s.origin_size = r.origin_size();
  s.separate_metadata = r.separate_metadata();
  for (const auto& device : r.devices()) s.devices.push_back(device_of(device));
  s.store_chunks = r.store_chunks();
  s.free_chunks = r.free_chunks();
  s.held_chunks = r.held_chunks();
  s.exception_chunks = r.exception_chunks();
  s.tree_blocks = r.tree_blocks();
  s.tree_levels = r.tree_levels();
  s.snapshots = r.snapshots();
  s.deleting = r.deleting();
  s.clients = r.clients();
  s.connections = r.connections();
  fill_server_status(r, s);
  CSNAP_ASSIGN(s.replication, replication_of(r));
  return s;
}

}  // namespace

Admin::Admin(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Admin::~Admin() = default;

Result<std::unique_ptr<Admin>> Admin::connect(const AdminOptions& options) {
  CSNAP_ASSIGN(auto addresses, addresses_or_default(options.addresses));
  auto impl = std::make_unique<Impl>(std::move(addresses), options);
  CSNAP_TRY(impl->connect());
  return std::unique_ptr<Admin>(new Admin(std::move(impl)));
}

Result<Admin::SnapshotEntry> Admin::create(const std::string& name, std::optional<Uuid> receiver) {
  wire::CreateSnapshot request;
  wire::CreateSnapshotReply reply;
  request.set_name(name);
  if (receiver) request.set_receiver(uuid_to_proto(*receiver));
  CSNAP_TRY(impl_->change(wire::MESSAGE_CREATE_SNAPSHOT, request, reply));
  return entry_of(reply.snapshot());
}

Result<Admin::SnapshotEntry> Admin::seal(const std::string& name) {
  wire::SealSnapshot request;
  wire::SealSnapshotReply reply;
  request.set_name(name);
  CSNAP_TRY(impl_->change(wire::MESSAGE_SEAL_SNAPSHOT, request, reply));
  return entry_of(reply.snapshot());
}

Status Admin::set_role(ReplicationRole role) {
  wire::SetRole request;
  wire::SetRoleReply reply;
  request.set_role(role_to_proto(role));
  return impl_->change(wire::MESSAGE_SET_ROLE, request, reply);
}

Status Admin::set_receiving(const Uuid& session,
                            const std::optional<UnfinishedReceive>& receiving) {
  wire::SetReceiving request;
  wire::SetReceivingReply reply;
  request.set_session(uuid_to_proto(session));
  if (receiving) receiving_to_proto(*receiving, *request.mutable_receiving());
  return impl_->change(wire::MESSAGE_SET_RECEIVING, request, reply);
}

Status Admin::set_replica(const Replica& replica) {
  wire::SetReplica request;
  wire::SetReplicaReply reply;
  replica_to_proto(replica, *request.mutable_replica());
  return impl_->change(wire::MESSAGE_SET_REPLICA, request, reply);
}

Status Admin::forget_replica(const Uuid& store) {
  wire::SetReplica request;
  wire::SetReplicaReply reply;
  request.mutable_replica()->set_store(uuid_to_proto(store));
  request.set_forget(true);
  return impl_->change(wire::MESSAGE_SET_REPLICA, request, reply);
}

Status Admin::remove(const std::string& name, bool force) {
  wire::DeleteSnapshot request;
  wire::DeleteSnapshotReply reply;
  request.set_name(name);
  request.set_force(force);
  return impl_->change(wire::MESSAGE_DELETE_SNAPSHOT, request, reply);
}

Status Admin::rename(const std::string& from, const std::string& to) {
  wire::RenameSnapshot request;
  wire::RenameSnapshotReply reply;
  request.set_from(from);
  request.set_to(to);
  return impl_->change(wire::MESSAGE_RENAME_SNAPSHOT, request, reply);
}

Result<Admin::SnapshotList> Admin::list() {
  wire::ListSnapshotsReply reply;
  CSNAP_TRY(impl_->look(wire::MESSAGE_LIST_SNAPSHOTS, wire::ListSnapshots(), reply));
  SnapshotList list;
  CSNAP_ASSIGN(list.store, uuid_from_proto(reply.store()));
  list.volume_size = reply.volume_size();
  list.chunk_size = reply.chunk_size();
  for (const auto& info : reply.snapshots()) {
    CSNAP_ASSIGN(auto entry, entry_of(info));
    list.snapshots.push_back(std::move(entry));
  }
  return list;
}

Result<Admin::StoreStatus> Admin::status() {
  wire::GetStatusReply reply;
  CSNAP_TRY(impl_->look(wire::MESSAGE_GET_STATUS, wire::GetStatus(), reply));
  return status_of_reply(reply);
}

Result<std::vector<Admin::LockEntry>> Admin::locks() {
  std::vector<LockEntry> locks;
  wire::ListLocksReply reply;
  do {
    wire::ListLocks request;
    request.set_skip(locks.size());
    CSNAP_TRY(impl_->look(wire::MESSAGE_LIST_LOCKS, request, reply));
    for (const auto& l : reply.locks()) {
      CSNAP_ASSIGN(auto client, uuid_from_proto(l.client()));
      locks.push_back({client, l.volume(), l.read_id(), l.start(), l.count(), l.waiting_writers()});
    }
  } while (reply.more() && reply.locks_size() > 0);
  return locks;
}

Result<std::vector<Admin::ClientEntry>> Admin::clients() {
  std::vector<ClientEntry> clients;
  wire::ListClientsReply reply;
  do {
    wire::ListClients request;
    request.set_skip(clients.size());
    CSNAP_TRY(impl_->look(wire::MESSAGE_LIST_CLIENTS, request, reply));
    for (const auto& c : reply.clients()) {
      CSNAP_ASSIGN(auto session, uuid_from_proto(c.session()));
      clients.push_back({session, c.volume(), c.client_name(), c.connected(), c.resumed(),
                         c.reads(), c.provisional_chunks(), c.silent_ms(), c.read_only()});
    }
  } while (reply.more() && reply.clients_size() > 0);
  return clients;
}

Result<Admin::ExceptionPage> Admin::dump(std::uint64_t from, std::uint32_t limit) {
  wire::DumpExceptions request;
  wire::DumpExceptionsReply reply;
  request.set_from(from);
  request.set_limit(limit);
  CSNAP_TRY(impl_->look(wire::MESSAGE_DUMP_EXCEPTIONS, request, reply));
  ExceptionPage page;
  for (const auto& l : reply.lines())
    page.lines.push_back({l.start(), l.count(), l.store_chunk(), l.mask()});
  page.next = reply.next();
  page.more = reply.more();
  return page;
}

Result<Admin::CheckPage> Admin::check(bool begin, std::uint64_t id, bool data) {
  wire::CheckStore request;
  wire::CheckStoreReply reply;
  request.set_begin(begin);
  request.set_id(id);
  request.set_data(data);
  CSNAP_TRY(impl_->look(wire::MESSAGE_CHECK_STORE, request, reply));
  CheckPage page;
  page.id = reply.id();
  page.done = reply.done();
  page.progress = reply.progress();
  for (const auto& f : reply.findings())
    page.findings.push_back({f.damage(), f.what(), f.start(), f.count(), f.mask()});
  page.dropped = reply.dropped();
  page.blocks = reply.blocks();
  page.exceptions = reply.exceptions();
  page.lost = reply.lost();
  page.data_chunks = reply.data_chunks();
  page.leaked = reply.leaked();
  return page;
}

Result<Admin::CheckPage> Admin::begin_check(bool data) {
  return check(true, 0, data);
}

Result<Admin::CheckPage> Admin::next_check(std::uint64_t id) {
  return check(false, id, false);
}

}  // namespace csnap
