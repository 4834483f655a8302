// SPDX-License-Identifier: Apache-2.0
// Between messages and our own types: what streams need. Errors: invalid for what makes no sense
// anywhere.
#pragma once

#include "proto/csnap.pb.h"
#include "store/replication.h"
#include "store/status.h"

namespace csnap {

void identity_to_proto(const StreamIdentity& identity, wire::StreamIdentity& out);
Result<StreamIdentity> identity_from_proto(const wire::StreamIdentity& in);
void receiving_to_proto(const UnfinishedReceive& receiving, wire::Receiving& out);
Result<UnfinishedReceive> receiving_from_proto(const wire::Receiving& in);
void replica_to_proto(const Replica& replica, wire::ReplicaInfo& out);
Result<Replica> replica_from_proto(const wire::ReplicaInfo& in);
wire::ReplicationRole role_to_proto(ReplicationRole role);
Result<ReplicationRole> role_from_proto(wire::ReplicationRole role);

}  // namespace csnap
