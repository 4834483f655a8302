// SPDX-License-Identifier: Apache-2.0
// What tests of streams ask of a rig's engine, waiting for each answer; sessions of their own,
// which the rig does not bring back.
#pragma once

#include <optional>
#include <string>

#include "test/engine/rig.h"

namespace csnap {

using Access = Engine::Access;

// Numbers of sessions.
constexpr std::uint64_t kReader = 1, kWriter = 2, kReceiver = 3, kOther = 4;

inline Code outcome(const Status& status) {
  return status.code();
}
template <class T>
Code outcome(const Result<T>& result) {
  return result.status().code();
}

Uuid session_id(std::uint64_t number);
Result<ClientKey> open_session(Rig& rig, std::uint64_t number, SnapshotId volume, Access access);
void close_session(Rig& rig, ClientKey key);
Result<Snapshot> seal(Rig& rig, const std::string& name);
// By this session, open or not.
Result<Snapshot> create_received(Rig& rig, const std::string& name,
                                 std::uint64_t session = kReceiver);
Status set_role(Rig& rig, ReplicationRole role);
Status set_receiving(Rig& rig, std::optional<UnfinishedReceive> receiving,
                     std::uint64_t session = kReceiver);
// A full stream, of which all has come.
UnfinishedReceive receive_of(const std::string& name, bool undone = false);
// A receiver has come, has said this, and has gone.
void leave_receiving(Rig& rig, const UnfinishedReceive& receiving);
Snapshot snapshot_now(Rig& rig, const std::string& name);
Replication replication_now(Rig& rig);
// The power fails, and nothing that was not flushed is left (torn: some of the store's is); a
// server takes the store over, and nobody comes back by himself.
void lose_power(Rig& rig, bool torn = false);

}  // namespace csnap
