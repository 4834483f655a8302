// SPDX-License-Identifier: Apache-2.0
// Turns, limits, administration, the end of service.
#include "test/service/service_rig.h"

namespace csnap {
namespace {

TEST_CASE("Replies of one turn are sent in one piece") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  rig.writes = 0;
  OutputBuffer bytes;
  for (std::uint64_t id = 1; id <= 50; ++id)
    append_frame(bytes, wire::MESSAGE_UNIQUE, 0, id, with_range<wire::UniqueRequest>(id, 1));
  rig.send_raw(c, bytes);
  for (std::uint64_t id = 1; id <= 50; ++id) rig.expect(c, wire::MESSAGE_UNIQUE_REPLY);
  CHECK(rig.writes == 1);
}

TEST_CASE("Requests may follow Hello without waiting for Welcome") {
  ServiceRig rig;
  const auto c = rig.connect();
  OutputBuffer bytes;
  append_frame(bytes, wire::MESSAGE_HELLO, 0, 1, rig.hello(rig.new_uuid()));
  append_frame(bytes, wire::MESSAGE_UNIQUE, 0, 2, with_range<wire::UniqueRequest>(0, 1));
  rig.send_raw(c, bytes);
  rig.expect(c, wire::MESSAGE_WELCOME);
  CHECK(rig.expect(c, wire::MESSAGE_UNIQUE_REPLY).header.request_id == 2);
}

TEST_CASE("A connection that does not take its output is read no more until it does") {
  auto options = ServiceRig::default_options();
  options.max_output = 1000;
  ServiceRig rig(options);
  const auto c = rig.open(rig.new_uuid());
  rig.hold_output(c, true);
  OutputBuffer bytes;
  for (std::uint64_t id = 1; id <= 500; ++id)
    append_frame(bytes, wire::MESSAGE_HEARTBEAT, 0, id, wire::Heartbeat());
  rig.send_raw(c, bytes);
  CHECK(rig.paused(c));
  rig.check_others_are_served();
  rig.hold_output(c, false);
  CHECK_FALSE(rig.paused(c));
  for (std::uint64_t id = 1; id <= 500; ++id)
    CHECK(rig.expect(c, wire::MESSAGE_HEARTBEAT_REPLY).header.request_id == id);
}

TEST_CASE("Too many requests at once are refused as busy while control messages go through") {
  auto options = ServiceRig::default_options();
  options.max_requests = 4;
  ServiceRig rig(options);
  const auto c = rig.open(rig.new_uuid());
  const auto admin = rig.open_admin();
  wire::CreateSnapshot create;
  create.set_name("s");
  rig.send(admin, wire::MESSAGE_CREATE_SNAPSHOT, create);
  const auto begin = rig.expect(c, wire::MESSAGE_BARRIER_BEGIN).as<wire::BarrierBegin>();
  for (std::uint64_t i = 0; i < 4; ++i)
    rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(i, 1));
  CHECK_FALSE(rig.next(c));
  rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(9, 1));
  const auto busy = rig.expect(c, wire::MESSAGE_ERROR).as<wire::Error>();
  CHECK(busy.code() == wire::ERROR_BUSY);
  CHECK(busy.retry_after_ms() > 0);
  wire::BarrierDone done;
  done.set_barrier(begin.barrier());
  rig.send(c, wire::MESSAGE_BARRIER_DONE, done);
  rig.expect(c, wire::MESSAGE_BARRIER_END);
  for (int i = 0; i < 4; ++i) rig.expect(c, wire::MESSAGE_UNIQUE_REPLY);
}

TEST_CASE("Unfinished reads are limited") {
  auto options = ServiceRig::default_options();
  options.max_reads = 2;
  ServiceRig rig(options);
  const auto snapshot = rig.create("s");
  const auto c = rig.open(rig.new_uuid(), snapshot.id());
  for (int i = 0; i < 2; ++i) {
    rig.send(c, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(0, 1));
    rig.expect(c, wire::MESSAGE_SNAPSHOT_READ_REPLY);
  }
  rig.send(c, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(0, 1));
  rig.expect_error(c, wire::ERROR_BUSY);
}

TEST_CASE("Snapshots are made, listed, renamed and deleted") {
  ServiceRig rig;
  const auto admin = rig.open_admin();
  wire::CreateSnapshot create;
  create.set_name("a");
  rig.send(admin, wire::MESSAGE_CREATE_SNAPSHOT, create);
  const auto made = rig.expect(admin, wire::MESSAGE_CREATE_SNAPSHOT_REPLY)
                        .as<wire::CreateSnapshotReply>()
                        .snapshot();
  CHECK(made.name() == "a");
  CHECK(made.id() != 0);
  CHECK(made.created_ns() != 0);
  rig.send(admin, wire::MESSAGE_CREATE_SNAPSHOT, create);
  rig.expect_error(admin, wire::ERROR_EXISTS);
  wire::RenameSnapshot rename;
  rename.set_from("a");
  rename.set_to("b");
  rig.send(admin, wire::MESSAGE_RENAME_SNAPSHOT, rename);
  rig.expect(admin, wire::MESSAGE_RENAME_SNAPSHOT_REPLY);
  const auto observer = rig.connect({});
  wire::Hello hello;
  hello.set_protocol_version(1);
  hello.set_role(wire::ROLE_OBSERVER);
  rig.send(observer, wire::MESSAGE_HELLO, hello);
  CHECK(rig.expect(observer, wire::MESSAGE_WELCOME).as<wire::Welcome>().devices_size() == 0);
  rig.send(observer, wire::MESSAGE_LIST_SNAPSHOTS, wire::ListSnapshots());
  const auto list =
      rig.expect(observer, wire::MESSAGE_LIST_SNAPSHOTS_REPLY).as<wire::ListSnapshotsReply>();
  REQUIRE(list.snapshots_size() == 1);
  CHECK(list.snapshots(0).name() == "b");
  CHECK(list.snapshots(0).id() == made.id());
  CHECK(list.volume_size() == ServiceRig::kChunks << 12);
  wire::DeleteSnapshot remove;
  remove.set_name("b");
  rig.send(observer, wire::MESSAGE_DELETE_SNAPSHOT, remove);
  rig.expect_error(observer, wire::ERROR_DENIED);
  rig.send(admin, wire::MESSAGE_DELETE_SNAPSHOT, remove);
  rig.expect(admin, wire::MESSAGE_DELETE_SNAPSHOT_REPLY);
  rig.send(admin, wire::MESSAGE_DELETE_SNAPSHOT, remove);
  rig.expect_error(admin, wire::ERROR_NOT_FOUND);
}

TEST_CASE("Status, locks, clients and the exception map are told") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto reader_session = rig.new_uuid();
  const auto reader = rig.open(reader_session, snapshot.id());
  rig.send(reader, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(50, 2));
  const auto writer = rig.open(rig.new_uuid());
  rig.send(writer, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 3));
  rig.expect(writer, wire::MESSAGE_UNIQUE_REPLY);
  const auto admin = rig.open_admin();

  rig.send(admin, wire::MESSAGE_GET_STATUS, wire::GetStatus());
  const auto status = rig.expect(admin, wire::MESSAGE_GET_STATUS_REPLY).as<wire::GetStatusReply>();
  CHECK(status.snapshots() == 1);
  CHECK(status.exception_chunks() == 3);
  CHECK(status.clients() == 2);
  CHECK(status.connections() == 3);
  CHECK(status.server_name() == "rig");

  rig.send(admin, wire::MESSAGE_LIST_LOCKS, wire::ListLocks());
  const auto locks = rig.expect(admin, wire::MESSAGE_LIST_LOCKS_REPLY).as<wire::ListLocksReply>();
  REQUIRE(locks.locks_size() == 1);
  CHECK(locks.locks(0).client() == uuid_to_proto(reader_session));
  CHECK(locks.locks(0).start() == 50);
  CHECK(locks.locks(0).count() == 2);

  wire::ListClients page;
  page.set_limit(1);
  std::size_t seen = 0;
  for (bool more = true; more; ++seen) {
    page.set_skip(seen);
    rig.send(admin, wire::MESSAGE_LIST_CLIENTS, page);
    const auto clients =
        rig.expect(admin, wire::MESSAGE_LIST_CLIENTS_REPLY).as<wire::ListClientsReply>();
    REQUIRE(clients.clients_size() == 1);
    CHECK(clients.clients(0).client_name() == "test");
    CHECK(clients.clients(0).connected());
    more = clients.more();
  }
  CHECK(seen == 2);

  rig.send(admin, wire::MESSAGE_DUMP_EXCEPTIONS, wire::DumpExceptions());
  const auto dump =
      rig.expect(admin, wire::MESSAGE_DUMP_EXCEPTIONS_REPLY).as<wire::DumpExceptionsReply>();
  REQUIRE(dump.lines_size() == 1);
  CHECK(dump.lines(0).start() == 0);
  CHECK(dump.lines(0).count() == 3);
  CHECK(dump.lines(0).mask() == 1);
  CHECK_FALSE(dump.more());

  rig.send(admin, wire::MESSAGE_DUMP_TREE, wire::DumpTree());
  const auto tree = rig.expect(admin, wire::MESSAGE_DUMP_TREE_REPLY).as<wire::DumpTreeReply>();
  REQUIRE(tree.starts_size() == 1);
  CHECK(tree.starts(0) == 0);
  CHECK(tree.counts(0) == 3);
  CHECK(tree.store_chunks(0) == dump.lines(0).store_chunk());
  CHECK(tree.masks(0) == 1);
  REQUIRE(tree.blocks_size() == 1);
  CHECK(tree.blocks(0).level() == 0);
  CHECK(tree.blocks(0).mask() == 1);
  CHECK_FALSE(tree.more());

  // The copy and the leaf are in use, wherever they are.
  wire::MapSpace map;
  std::uint64_t used = 0;
  for (bool more = true; more;) {
    rig.send(admin, wire::MESSAGE_MAP_SPACE, map);
    const auto space = rig.expect(admin, wire::MESSAGE_MAP_SPACE_REPLY).as<wire::MapSpaceReply>();
    REQUIRE(space.areas_size() > 0);
    for (const auto& area : space.areas()) {
      if (area.use() == wire::MapSpaceReply::USE_USED) used += area.count();
      map.set_from(map.from() + area.count());
    }
    more = space.more();
  }
  CHECK(used == 4);
  rig.send(admin, wire::MESSAGE_MAP_SPACE, map);
  rig.expect_error(admin, wire::ERROR_OUT_OF_RANGE);
}

TEST_CASE("An administrator that hangs up does not stop what it asked for") {
  ServiceRig rig;
  const auto admin = rig.open_admin();
  wire::CreateSnapshot create;
  create.set_name("s");
  rig.submit(admin, wire::MESSAGE_CREATE_SNAPSHOT, create, 9);
  rig.disconnect(admin);
  CHECK(rig.engine().list().size() == 1);
}

TEST_CASE("A server that drains says so, starts nothing new and closes every connection") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  rig.service().drain();
  rig.settle();
  rig.expect(c, wire::MESSAGE_HANDOVER);
  rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 1));
  rig.expect_error(c, wire::ERROR_UNAVAILABLE);
  const auto late = rig.connect();
  rig.send(late, wire::MESSAGE_HELLO, rig.hello(rig.new_uuid()));
  rig.expect_error(late, wire::ERROR_UNAVAILABLE);
  rig.restart();
  CHECK(rig.closed(c));
  CHECK(rig.engine().absent_clients().size() == 1);
}

}  // namespace
}  // namespace csnap
