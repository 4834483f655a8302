// SPDX-License-Identifier: Apache-2.0
// Sessions as a server sees them: greeting, lease, lost connections.
#include "test/client/mapper_rig.h"

namespace csnap {

using Known = MapperRig::Known;

TEST_CASE("The first message is a Hello that does not resume, later ones do and name the id") {
  MapperRig rig(false);
  const auto first = rig.connect();
  CHECK_FALSE(first.resume());
  CHECK(first.volume().snapshot_name() == "monday");
  rig.mapper->disconnected();
  const auto second = rig.connect(Known::resumed);
  CHECK(second.resume());
  CHECK(second.volume().snapshot_id() == 9);
  CHECK(second.session() == first.session());
}

TEST_CASE("A grant is remembered before the one who asked hears of it") {
  MapperRig rig;
  rig.connect();
  const auto asked = rig.unique(5, 3);
  const auto [id, request] = rig.expect<wire::UniqueRequest>(wire::MESSAGE_UNIQUE);
  REQUIRE(request.ranges_size() == 1);
  CHECK(request.ranges(0).start() == 5);
  CHECK(request.ranges(0).count() == 3);
  CHECK_FALSE(asked->done);
  rig.reply(wire::MESSAGE_UNIQUE_REPLY, id, wire::UniqueReply());
  CHECK(asked->done);
  CHECK(asked->status.ok());
  CHECK(rig.host.unique == std::vector<ChunkRun>{{Chunk(5), 3}});
}

TEST_CASE("Who asks for chunks that are being asked for waits for the same answer") {
  MapperRig rig;
  rig.connect();
  const auto first = rig.unique(5, 10), second = rig.unique(7, 2), third = rig.unique(14, 3);
  const auto sent = rig.sent();
  REQUIRE(sent.size() == 2);
  rig.reply(wire::MESSAGE_UNIQUE_REPLY, sent[0].header.request_id, wire::UniqueReply());
  CHECK(first->done);
  CHECK(second->done);
  CHECK_FALSE(third->done);
}

TEST_CASE("What was not answered is sent again on the next connection") {
  MapperRig rig;
  rig.connect();
  const auto asked = rig.unique(5, 3);
  REQUIRE(rig.sent().size() == 1);
  rig.mapper->disconnected();
  const auto later = rig.unique(9, 1);
  CHECK(rig.sent().empty());
  rig.connect(Known::resumed);
  const auto sent = rig.sent();
  REQUIRE(sent.size() == 2);
  rig.reply(wire::MESSAGE_UNIQUE_REPLY, sent[0].header.request_id, wire::UniqueReply());
  rig.reply(wire::MESSAGE_UNIQUE_REPLY, sent[1].header.request_id, wire::UniqueReply());
  CHECK(asked->done);
  CHECK(later->done);
  CHECK(rig.host.drains == 0);  // a resumed session has lost nothing
}

TEST_CASE("A resumed session names the reads that are not finished and drops the others' ends") {
  MapperRig rig(false);
  rig.connect();
  const auto one = rig.read(1, 1);
  rig.grant_read(11, true);
  const auto two = rig.read(2, 1);
  rig.grant_read(12, true);
  rig.mapper->finish_read(one->mapping.handle);
  rig.mapper->disconnected();
  const auto hello = rig.connect(Known::resumed);
  REQUIRE(hello.unfinished_reads_size() == 1);
  CHECK(hello.unfinished_reads(0) == 12);
  CHECK(rig.sent().empty());
}

TEST_CASE("Finished reads are told in one message") {
  MapperRig rig(false);
  rig.connect();
  const auto one = rig.read(1, 1);
  rig.grant_read(11, true);
  const auto two = rig.read(2, 1);
  rig.grant_read(12, true);
  rig.mapper->finish_read(one->mapping.handle);
  rig.mapper->finish_read(two->mapping.handle);
  const auto finish = rig.expect<wire::FinishRead>(wire::MESSAGE_FINISH_READ).second;
  REQUIRE(finish.read_ids_size() == 2);
  CHECK(finish.read_ids(0) == 11);
  CHECK(finish.read_ids(1) == 12);
}

TEST_CASE("A read that is granted to nobody any more is given back") {
  MapperRig rig(false);
  rig.connect();
  const auto asked = rig.read(1, 1);
  const auto id = rig.expect<wire::SnapshotRead>(wire::MESSAGE_SNAPSHOT_READ).first;
  rig.mapper->fail_pending(Status(Code::unavailable, "waited long enough"));
  CHECK(asked->status.code() == Code::unavailable);
  wire::SnapshotReadReply reply;
  reply.set_read_id(33);
  rig.reply(wire::MESSAGE_SNAPSHOT_READ_REPLY, id, reply);
  CHECK(rig.expect<wire::FinishRead>(wire::MESSAGE_FINISH_READ).second.read_ids(0) == 33);
}

TEST_CASE("The lease counts from when the answered heartbeat was sent") {
  MapperRig rig;
  rig.connect();
  const auto start = rig.host.now.lease_until_ms;
  CHECK(start > rig.time);
  CHECK(start < rig.time + kLease);  // room for I/O that started in time to end
  rig.time += kHeartbeat;
  CHECK(rig.mapper->next_tick_ms() == rig.time);
  rig.mapper->tick(rig.time);
  const auto id = rig.expect<wire::Heartbeat>(wire::MESSAGE_HEARTBEAT).first;
  CHECK(rig.host.now.lease_until_ms == start);  // not before the answer
  rig.time += 30;
  rig.reply(wire::MESSAGE_HEARTBEAT_REPLY, id, wire::HeartbeatReply());
  CHECK(rig.host.now.lease_until_ms == start + kHeartbeat);
}

TEST_CASE("A server that speaks of something before it said Welcome is hung up on") {
  MapperRig rig;
  rig.mapper->connected(rig.time);
  static_cast<void>(rig.expect<wire::Hello>(wire::MESSAGE_HELLO));
  rig.push(wire::MESSAGE_COPY, wire::Copy());
  CHECK(rig.host.hung_up.code() == Code::corrupt);
}

TEST_CASE("A server that does not answer heartbeats is hung up on before the lease ends") {
  MapperRig rig;
  rig.connect();
  rig.time += kHeartbeat;
  rig.mapper->tick(rig.time);
  while (rig.host.hung_up.ok()) {
    rig.time = rig.mapper->next_tick_ms();
    REQUIRE(rig.time < rig.host.now.lease_until_ms);
    rig.mapper->tick(rig.time);
  }
  CHECK(rig.host.hung_up.code() == Code::unavailable);
}

TEST_CASE("The server's own heartbeats are answered") {
  MapperRig rig;
  rig.connect();
  wire::Heartbeat heartbeat;
  heartbeat.set_sent_ms(77);
  rig.deliver(wire::MESSAGE_HEARTBEAT, 0, 5, heartbeat);
  const auto [id, reply] = rig.expect<wire::HeartbeatReply>(wire::MESSAGE_HEARTBEAT_REPLY);
  CHECK(id == 5);
  CHECK(reply.sent_ms() == 77);
}

TEST_CASE("A session that the server has forgotten loses its grants before it gets a lease") {
  MapperRig rig;
  rig.connect();
  const auto asked = rig.unique(5, 3);
  const auto id = rig.expect<wire::UniqueRequest>(wire::MESSAGE_UNIQUE).first;
  rig.reply(wire::MESSAGE_UNIQUE_REPLY, id, wire::UniqueReply());
  const auto generation = rig.host.now.read_generation;
  rig.mapper->disconnected();
  const auto waiting = rig.unique(20, 1);
  rig.time += 2 * kLease;
  rig.connect(Known::fresh);
  CHECK(rig.host.drains == 1);
  CHECK(rig.host.now.lease_until_ms == 0);
  CHECK(rig.host.now.read_generation > generation);
  CHECK(rig.sent().empty());  // an answer now would be forgotten with the rest
  rig.mapper->drained();
  CHECK(rig.host.unique.empty());
  CHECK(rig.host.reopens == 1);
  CHECK(rig.host.now.lease_until_ms > rig.time);
  rig.expect<wire::UniqueRequest>(wire::MESSAGE_UNIQUE);
}

TEST_CASE("A volume that has the id and is not the one that was opened is gone") {
  MapperRig rig(false);
  rig.connect();
  rig.mapper->disconnected();
  rig.mapper->connected(rig.time);
  const auto id = rig.expect<wire::Hello>(wire::MESSAGE_HELLO).first;
  auto w = rig.welcome();
  w.set_resumed(true);
  w.mutable_volume()->set_uuid(uuid_to_proto(Uuid::from_random(70, 80)));
  rig.reply(wire::MESSAGE_WELCOME, id, w);
  CHECK(rig.read(1, 1)->status.code() == Code::stale);
}

TEST_CASE("A session to receive is not begun anew") {
  MapperRig rig;
  rig.options.receiving = true;
  rig.mapper.emplace(rig.options, rig.host);
  CHECK(rig.connect().receiving());
  rig.mapper->disconnected();
  rig.mapper->connected(rig.time);
  const auto [id, hello] = rig.expect<wire::Hello>(wire::MESSAGE_HELLO);
  CHECK(hello.receiving());
  rig.error(id, Code::cancelled);
  CHECK(rig.host.end.code() == Code::stale);
  CHECK_FALSE(rig.host.hung_up.ok());
  CHECK(rig.sent().empty());
}

TEST_CASE("A session that is over is begun anew, and no lost Welcome brings its grants back") {
  MapperRig rig;
  rig.connect();
  rig.mapper->disconnected();
  rig.time += 2 * kLease;
  rig.mapper->connected(rig.time);
  const auto [id, hello] = rig.expect<wire::Hello>(wire::MESSAGE_HELLO);
  CHECK(hello.resume());
  rig.error(id, Code::cancelled);
  CHECK(rig.host.drains == 1);
  CHECK(rig.host.now.lease_until_ms == 0);
  CHECK(rig.host.hung_up.ok());
  CHECK_FALSE(rig.expect<wire::Hello>(wire::MESSAGE_HELLO).second.resume());
  rig.mapper->drained();
  CHECK(rig.host.forgets == 1);
  CHECK(rig.host.now.lease_until_ms == 0);
  rig.mapper->disconnected();
  CHECK_FALSE(rig.connect(Known::fresh).resume());
  rig.mapper->drained();
  CHECK(rig.host.now.lease_until_ms > rig.time);
  rig.mapper->disconnected();
  CHECK(rig.connect(Known::resumed).resume());
}

TEST_CASE("A connection lost while grants are being forgotten does not bring them back") {
  MapperRig rig;
  rig.connect();
  rig.mapper->disconnected();
  rig.connect(Known::fresh);
  rig.mapper->disconnected();
  rig.connect(Known::resumed);  // the new session, not the old one
  CHECK(rig.host.now.lease_until_ms == 0);
  rig.mapper->drained();
  CHECK(rig.host.now.lease_until_ms > rig.time);
}

TEST_CASE("A snapshot deleted while nobody was connected ends the volume, a busy server does not") {
  MapperRig rig(false);
  rig.connect();
  const auto waiting = rig.read(1, 1);
  rig.mapper->disconnected();
  rig.mapper->connected(rig.time);
  rig.error(rig.expect<wire::Hello>(wire::MESSAGE_HELLO).first, Code::unavailable);
  CHECK(rig.host.end.ok());
  CHECK_FALSE(waiting->done);
  rig.mapper->disconnected();
  rig.mapper->connected(rig.time);
  rig.error(rig.expect<wire::Hello>(wire::MESSAGE_HELLO).first, Code::stale);
  CHECK(rig.host.end.code() == Code::stale);
  CHECK(waiting->status.code() == Code::stale);
}

TEST_CASE("A Welcome that makes no sense is hung up on") {
  MapperRig rig;
  rig.mapper->connected(rig.time);
  const auto id = rig.expect<wire::Hello>(wire::MESSAGE_HELLO).first;
  auto bad = rig.welcome();
  bad.set_chunk_size(5000);
  rig.reply(wire::MESSAGE_WELCOME, id, bad);
  CHECK(rig.host.hung_up.code() == Code::corrupt);
  CHECK_FALSE(rig.host.session);
}

TEST_CASE("A goodbye that was not answered is said again on the next connection") {
  MapperRig rig;
  rig.connect();
  bool done = false;
  rig.mapper->goodbye([&] { done = true; });
  rig.expect<wire::Goodbye>(wire::MESSAGE_GOODBYE);
  rig.mapper->disconnected();
  CHECK_FALSE(done);
  rig.connect(Known::resumed);
  const auto id = rig.expect<wire::Goodbye>(wire::MESSAGE_GOODBYE).first;
  rig.reply(wire::MESSAGE_GOODBYE_REPLY, id, wire::GoodbyeReply());
  CHECK(done);
}

TEST_CASE("A handover is passed on") {
  MapperRig rig;
  rig.connect();
  wire::Handover handover;
  handover.add_addresses("127.0.0.1:7777");
  handover.set_retry_after_ms(20);
  rig.push(wire::MESSAGE_HANDOVER, handover);
  CHECK(rig.host.handed_over == std::vector<std::string>{"127.0.0.1:7777"});
  CHECK(rig.host.retry_ms == 20);
}

}  // namespace csnap
