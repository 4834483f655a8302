// SPDX-License-Identifier: Apache-2.0
#include "proto/convert_replication.h"

#include "proto/convert.h"

namespace csnap {

void identity_to_proto(const StreamIdentity& identity, wire::StreamIdentity& out) {
  out.set_uuid(uuid_to_proto(identity.uuid));
  out.set_transid(identity.ctransid);
}

Result<StreamIdentity> identity_from_proto(const wire::StreamIdentity& in) {
  CSNAP_ASSIGN(const Uuid uuid, uuid_from_proto(in.uuid()));
  return StreamIdentity{uuid, in.transid()};
}

void receiving_to_proto(const UnfinishedReceive& receiving, wire::Receiving& out) {
  out.set_name(receiving.name);
  identity_to_proto(receiving.identity, *out.mutable_identity());
  if (receiving.parent) identity_to_proto(*receiving.parent, *out.mutable_parent());
  out.set_parent_id(receiving.parent_id.value);
  out.set_path(receiving.path);
  out.set_offset(receiving.offset);
  out.set_resumable(receiving.resumable);
  out.set_undone(receiving.undone);
}

Result<UnfinishedReceive> receiving_from_proto(const wire::Receiving& in) {
  UnfinishedReceive out;
  out.name = in.name();
  CSNAP_ASSIGN(out.identity, identity_from_proto(in.identity()));
  if (in.has_parent()) {
    CSNAP_ASSIGN(out.parent, identity_from_proto(in.parent()));
  }
  out.parent_id = SnapshotId(in.parent_id());
  out.path = in.path();
  out.offset = in.offset();
  out.resumable = in.resumable();
  out.undone = in.undone();
  return out;
}

void replica_to_proto(const Replica& replica, wire::ReplicaInfo& out) {
  out.set_store(uuid_to_proto(replica.store));
  out.set_address(replica.address);
  out.set_snapshot(replica.snapshot.value);
  out.set_at_ns(replica.at_ns);
}

Result<Replica> replica_from_proto(const wire::ReplicaInfo& in) {
  CSNAP_ASSIGN(const Uuid store, uuid_from_proto(in.store()));
  return Replica{store, in.address(), SnapshotId(in.snapshot()), in.at_ns()};
}

wire::ReplicationRole role_to_proto(ReplicationRole role) {
  switch (role) {
    case ReplicationRole::primary:
      return wire::REPLICATION_PRIMARY;
    case ReplicationRole::replica:
      return wire::REPLICATION_REPLICA;
    default:
      return wire::REPLICATION_NONE;
  }
}

Result<ReplicationRole> role_from_proto(wire::ReplicationRole role) {
  switch (role) {
    case wire::REPLICATION_NONE:
      return ReplicationRole::none;
    case wire::REPLICATION_PRIMARY:
      return ReplicationRole::primary;
    case wire::REPLICATION_REPLICA:
      return ReplicationRole::replica;
    default:
      return Status(Code::invalid, "there is no such role");
  }
}

}  // namespace csnap
