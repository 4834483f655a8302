// SPDX-License-Identifier: Apache-2.0
#include "test/engine/sessions.h"

#include <utility>

namespace csnap {
namespace {

// ask(done) asks; what done was given.
template <class Answer, class Ask>
Answer wait_for(Rig& rig, Ask ask) {
  std::optional<Answer> answer;
  ask([&answer](Answer got) { answer = std::move(got); });
  rig.until([&] { return answer.has_value(); });
  return std::move(*answer);
}

}  // namespace

Uuid session_id(std::uint64_t number) {
  return Uuid::from_random(number, 99);
}

Result<ClientKey> open_session(Rig& rig, std::uint64_t number, SnapshotId volume, Access access) {
  auto key = wait_for<Result<ClientKey>>(rig, [&](Engine::Opened done) {
    rig.engine().open_client(session_id(number), volume, access, std::move(done));
  });
  if (key.ok()) rig.engine().upload_done(*key);
  return key;
}

void close_session(Rig& rig, ClientKey key) {
  rig.engine().close_client(key);
  rig.until_idle();
}

Result<Snapshot> seal(Rig& rig, const std::string& name) {
  return wait_for<Result<Snapshot>>(
      rig, [&](Engine::SnapshotDone done) { rig.engine().seal_snapshot(name, std::move(done)); });
}

Result<Snapshot> create_received(Rig& rig, const std::string& name, std::uint64_t session) {
  return wait_for<Result<Snapshot>>(rig, [&](Engine::SnapshotDone done) {
    rig.engine().create_snapshot(name, session_id(session), std::move(done));
  });
}

Status set_role(Rig& rig, ReplicationRole role) {
  return wait_for<Status>(rig,
                          [&](Engine::Done done) { rig.engine().set_role(role, std::move(done)); });
}

Status set_receiving(Rig& rig, std::optional<UnfinishedReceive> receiving, std::uint64_t session) {
  return wait_for<Status>(rig, [&](Engine::Done done) {
    rig.engine().set_receiving(session_id(session), std::move(receiving), std::move(done));
  });
}

UnfinishedReceive receive_of(const std::string& name, bool undone) {
  UnfinishedReceive receiving;
  receiving.name = name;
  receiving.identity = {Uuid::from_random(1, 2), 77};
  receiving.path = "volume.img";
  receiving.undone = undone;
  return receiving;
}

void leave_receiving(Rig& rig, const UnfinishedReceive& receiving) {
  const auto key = open_session(rig, kReceiver, kOrigin, Access::receive);
  require(key.ok(), key.status().to_string());
  const Status said = set_receiving(rig, receiving);
  require(said.ok(), said.to_string());
  close_session(rig, *key);
}

Snapshot snapshot_now(Rig& rig, const std::string& name) {
  const auto found = rig.engine().find_snapshot(name);
  require(found.ok(), found.status().to_string());
  return *found;
}

Replication replication_now(Rig& rig) {
  return rig.engine().status().replication;
}

void lose_power(Rig& rig, bool torn) {
  if (torn) {
    rig.power_cut();
  } else {
    rig.kill();
    rig.origin->crash_losing_all();
    rig.store->crash_losing_all();
    if (rig.metadata) rig.metadata->crash_losing_all();
  }
  const Status opened = rig.try_open();
  require(opened.ok(), opened.to_string());
}

}  // namespace csnap
