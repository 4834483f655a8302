// SPDX-License-Identifier: Apache-2.0
// What the server tells clients without being asked: barriers and eviction.
#include "test/service/service_rig.h"

namespace csnap {
namespace {

TEST_CASE("A barrier reaches every client of the origin and waits for all of them") {
  ServiceRig rig;
  const auto a = rig.open(rig.new_uuid());
  const auto b = rig.open(rig.new_uuid());
  const auto admin = rig.open_admin();
  wire::CreateSnapshot create;
  create.set_name("s");
  rig.send(admin, wire::MESSAGE_CREATE_SNAPSHOT, create);
  wire::BarrierDone done;
  done.set_barrier(rig.expect(a, wire::MESSAGE_BARRIER_BEGIN).as<wire::BarrierBegin>().barrier());
  rig.expect(b, wire::MESSAGE_BARRIER_BEGIN);
  // Questions of the meantime are answered after the end.
  rig.send(a, wire::MESSAGE_BARRIER_DONE, done);
  rig.send(a, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 1));
  CHECK_FALSE(rig.next(a));
  CHECK_FALSE(rig.next(admin));
  rig.send(b, wire::MESSAGE_BARRIER_DONE, done);
  rig.expect(admin, wire::MESSAGE_CREATE_SNAPSHOT_REPLY);
  rig.expect(b, wire::MESSAGE_BARRIER_END);
  rig.expect(a, wire::MESSAGE_BARRIER_END);
  rig.expect(a, wire::MESSAGE_UNIQUE_REPLY);
}

TEST_CASE("A barrier is told again to a client that resumes in the middle of it") {
  ServiceRig rig;
  const auto session = rig.new_uuid();
  rig.disconnect(rig.open(session));
  const auto admin = rig.open_admin();
  wire::CreateSnapshot create;
  create.set_name("s");
  rig.send(admin, wire::MESSAGE_CREATE_SNAPSHOT, create);
  CHECK_FALSE(rig.next(admin));
  for (int i = 0; i < 2; ++i) {
    const auto c = rig.open(session, 0, true);
    const auto begin = rig.expect(c, wire::MESSAGE_BARRIER_BEGIN).as<wire::BarrierBegin>();
    wire::BarrierDone done;
    done.set_barrier(begin.barrier() +
                     (i == 0 ? 1 : 0));  // another barrier's number counts nothing
    rig.send(c, wire::MESSAGE_BARRIER_DONE, done);
  }
  rig.expect(admin, wire::MESSAGE_CREATE_SNAPSHOT_REPLY);
}

TEST_CASE("A client that ignores a barrier is cut off when its lease ends") {
  ServiceRig rig;
  rig.disconnect(rig.open(rig.new_uuid()));
  const auto admin = rig.open_admin();
  wire::CreateSnapshot create;
  create.set_name("s");
  rig.send(admin, wire::MESSAGE_CREATE_SNAPSHOT, create);
  CHECK_FALSE(rig.next(admin));
  rig.pass(1200);
  rig.expect(admin, wire::MESSAGE_CREATE_SNAPSHOT_REPLY);
  CHECK(rig.service().sessions() == 0);
}

TEST_CASE("A forced deletion evicts the snapshot's clients, also one that is away") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto here = rig.open(rig.new_uuid(), snapshot.id());
  const auto away = rig.new_uuid();
  rig.disconnect(rig.open(away, snapshot.id()));
  const auto admin = rig.open_admin();
  wire::DeleteSnapshot remove;
  remove.set_name("s");
  rig.send(admin, wire::MESSAGE_DELETE_SNAPSHOT, remove);
  rig.expect_error(admin, wire::ERROR_BUSY);
  remove.set_force(true);
  rig.send(admin, wire::MESSAGE_DELETE_SNAPSHOT, remove);
  CHECK(rig.expect(here, wire::MESSAGE_EVICT).as<wire::Evict>().code() == wire::ERROR_STALE);
  rig.send(here, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(0, 1));
  rig.expect_error(here, wire::ERROR_STALE);
  rig.send(here, wire::MESSAGE_EVICT_DONE, wire::EvictDone());
  rig.expect_error(here, wire::ERROR_STALE);
  CHECK(rig.closed(here));
  const auto back = rig.open(away, snapshot.id(), true);
  rig.expect(back, wire::MESSAGE_EVICT);
  rig.send(back, wire::MESSAGE_EVICT_DONE, wire::EvictDone());
  rig.expect_error(back, wire::ERROR_STALE);
  rig.expect(admin, wire::MESSAGE_DELETE_SNAPSHOT_REPLY);
  CHECK(rig.service().sessions() == 0);
}

}  // namespace
}  // namespace csnap
