// SPDX-License-Identifier: Apache-2.0
// Sessions: what they survive and how they end.
#include "test/service/service_rig.h"

namespace csnap {
namespace {

TEST_CASE("Welcome says everything a client of a volume needs") {
  ServiceRig rig;
  const auto snapshot = rig.create("monday");
  const auto c = rig.connect();
  auto hello = rig.hello(rig.new_uuid());
  hello.mutable_volume()->set_snapshot_name("monday");
  rig.send(c, wire::MESSAGE_HELLO, hello);
  const auto w = rig.expect(c, wire::MESSAGE_WELCOME).as<wire::Welcome>();
  CHECK_FALSE(w.resumed());
  CHECK_FALSE(w.restarted());
  CHECK(w.volume().id() == snapshot.id());
  CHECK(w.volume().uuid() == snapshot.uuid());
  CHECK(w.volume().name() == "monday");
  CHECK(w.volume().size() == ServiceRig::kChunks << 12);
  CHECK(w.chunk_size() == 4096);
  CHECK(w.devices_size() == 2);
  CHECK(w.devices(0).kind() == wire::DeviceInfo::KIND_ORIGIN);
  CHECK(w.devices(1).path() == "/store");
  CHECK(w.lease_ms() == 1000);
  CHECK(w.heartbeat_ms() == 100);
  CHECK(w.max_request_chunks() == kMaxWireChunks);
  CHECK(w.max_frame() == kMaxBody);
  CHECK(w.epoch() == rig.engine().epoch().value);
}

TEST_CASE("A session is resumed on a new connection and the old one is closed") {
  ServiceRig rig;
  const auto session = rig.new_uuid();
  const auto first = rig.open(session);
  const auto second = rig.connect();
  const auto w = resume(rig, second, rig.hello(session));
  CHECK(w.resumed());
  CHECK_FALSE(w.restarted());
  rig.expect_error(first, wire::ERROR_CANCELLED);
  CHECK(rig.closed(first));
  CHECK(rig.service().sessions() == 1);
}

TEST_CASE("A session outlives its connection until its lease ends") {
  ServiceRig rig;
  const auto session = rig.new_uuid();
  rig.disconnect(rig.open(session));
  rig.pass(900);
  CHECK(rig.service().sessions() == 1);
  rig.pass(200);
  CHECK(rig.service().sessions() == 0);
  CHECK(rig.engine().clients().empty());
}

TEST_CASE("A session whose lease has ended cannot be resumed, only begun anew") {
  ServiceRig rig;
  const auto session = rig.new_uuid();
  rig.disconnect(rig.open(session));
  rig.pass(1100);
  // However often it tries, in this server or the next: it must hear that its grants are void.
  const auto c = rig.connect();
  for (int i = 0; i < 2; ++i) {
    rig.send(c, wire::MESSAGE_HELLO, rig.hello(session, 0, true));
    rig.expect_error(c, wire::ERROR_CANCELLED);
  }
  CHECK(rig.engine().clients().empty());
  rig.send(c, wire::MESSAGE_HELLO, rig.hello(session));
  const auto w = rig.expect(c, wire::MESSAGE_WELCOME).as<wire::Welcome>();
  CHECK_FALSE(w.resumed());
  CHECK_FALSE(w.restarted());
}

TEST_CASE("A client that is silent for a lease is cut off and told why") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  rig.pass(1200);
  CHECK(rig.closed(c));
  rig.expect(c, wire::MESSAGE_HEARTBEAT);
  CHECK(rig.expect_error(c, wire::ERROR_STALE).find("lease") != std::string::npos);
}

TEST_CASE("Heartbeats keep a session and echo the client's clock") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  wire::Heartbeat beat;
  for (int i = 0; i < 40; ++i) {
    beat.set_sent_ms(1000 + static_cast<std::uint64_t>(i));
    rig.send(c, wire::MESSAGE_HEARTBEAT, beat);
    const auto answer = rig.expect(c, wire::MESSAGE_HEARTBEAT_REPLY).as<wire::HeartbeatReply>();
    CHECK(answer.sent_ms() == beat.sent_ms());
    rig.pass(100);
  }
  CHECK_FALSE(rig.closed(c));
}

TEST_CASE("The server asks a client that it has not heard of for a sign of life") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  rig.pass(300);
  const auto beat = rig.expect(c, wire::MESSAGE_HEARTBEAT);
  CHECK(beat.header.push());
  OutputBuffer bytes;
  append_frame(bytes, wire::MESSAGE_HEARTBEAT_REPLY, frame_flags::kReply, beat.header.request_id,
               wire::HeartbeatReply());
  rig.send_raw(c, bytes);
  rig.pass(800);
  CHECK_FALSE(rig.closed(c));
}

TEST_CASE("A pause of the server itself ends no session") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  rig.stall(60'000);
  CHECK_FALSE(rig.closed(c));
  CHECK(rig.service().sessions() == 1);
}

TEST_CASE("Goodbye ends a session at once") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  rig.send(c, wire::MESSAGE_GOODBYE, wire::Goodbye());
  rig.expect(c, wire::MESSAGE_GOODBYE_REPLY);
  CHECK(rig.closed(c));
  CHECK(rig.service().sessions() == 0);
  CHECK(rig.engine().clients().empty());
}

TEST_CASE("Hello without resume begins a known session anew and gives up what it held") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto session = rig.new_uuid();
  const auto first = rig.open(session, snapshot.id());
  CHECK(read_chunks(rig, first, 0, 4).read_id() != 0);
  REQUIRE(rig.engine().locks().size() == 1);
  const auto second = rig.connect();
  rig.send(second, wire::MESSAGE_HELLO, rig.hello(session, snapshot.id()));
  CHECK_FALSE(rig.expect(second, wire::MESSAGE_WELCOME).as<wire::Welcome>().resumed());
  CHECK(rig.engine().locks().empty());
  CHECK(rig.closed(first));
}

TEST_CASE("A session cannot be resumed on another volume") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto session = rig.new_uuid();
  const auto first = rig.open(session, snapshot.id());
  const auto second = rig.connect();
  rig.send(second, wire::MESSAGE_HELLO, rig.hello(session, 0, true));
  rig.expect_error(second, wire::ERROR_INVALID);
  CHECK_FALSE(rig.closed(first));
}

TEST_CASE("Resuming gives up reads that the client does not know of") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto session = rig.new_uuid();
  const auto first = rig.open(session, snapshot.id());
  const auto known = read_chunks(rig, first, 0, 4);
  read_chunks(rig, first, 100, 4);
  REQUIRE(rig.engine().locks().size() == 2);
  rig.disconnect(first);
  auto hello = rig.hello(session, snapshot.id());
  hello.add_unfinished_reads(known.read_id());
  const auto second = rig.connect();
  resume(rig, second, hello);
  REQUIRE(rig.engine().locks().size() == 1);
  CHECK(rig.engine().locks()[0].read == known.read_id());
  wire::FinishRead finish;
  finish.add_read_ids(known.read_id());
  finish.add_read_ids(12345);
  rig.send(second, wire::MESSAGE_FINISH_READ, finish);
  CHECK(rig.engine().locks().empty());
  CHECK_FALSE(rig.next(second));
}

TEST_CASE("A write that waits for a reader goes on when the reader's lease ends") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto reader = rig.open(rig.new_uuid(), snapshot.id());
  read_chunks(rig, reader, 7, 1);
  const auto writer = rig.open(rig.new_uuid());
  rig.disconnect(reader);
  const auto id = rig.send(writer, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(7, 1));
  CHECK_FALSE(rig.next(writer));
  for (int i = 0; i < 12; ++i) {
    rig.send(writer, wire::MESSAGE_HEARTBEAT, wire::Heartbeat());
    rig.pass(100);
  }
  for (;;) {
    const auto frame = rig.next(writer);
    REQUIRE(frame);
    if (frame->header.type == wire::MESSAGE_HEARTBEAT_REPLY || frame->header.push()) continue;
    CHECK(frame->header.type == wire::MESSAGE_UNIQUE_REPLY);
    CHECK(frame->header.request_id == id);
    break;
  }
}

TEST_CASE("A request sent again on a new connection is answered there, once") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto reader = rig.open(rig.new_uuid(), snapshot.id());
  const auto held = read_chunks(rig, reader, 7, 1);
  const auto session = rig.new_uuid();
  const auto first = rig.open(session);
  const auto request = with_range<wire::UniqueRequest>(7, 1);
  const auto id = rig.send(first, wire::MESSAGE_UNIQUE, request);
  rig.disconnect(first);
  const auto second = rig.open(session, 0, true);
  rig.send(second, wire::MESSAGE_UNIQUE, request, id);
  CHECK_FALSE(rig.next(second));
  wire::FinishRead finish;
  finish.add_read_ids(held.read_id());
  rig.send(reader, wire::MESSAGE_FINISH_READ, finish);
  CHECK(rig.expect(second, wire::MESSAGE_UNIQUE_REPLY).header.request_id == id);
  CHECK_FALSE(rig.next(second));
}

TEST_CASE("An id that is in use is refused for another request") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto reader = rig.open(rig.new_uuid(), snapshot.id());
  read_chunks(rig, reader, 7, 1);
  const auto session = rig.new_uuid();
  const auto c = rig.open(session);
  const auto id = rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(7, 1));
  rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(7, 1), id);
  rig.expect_error(c, wire::ERROR_INVALID);
  rig.disconnect(c);
  const auto again = rig.open(session, 0, true);
  rig.send(again, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(8, 1), id);
  rig.expect_error(again, wire::ERROR_INVALID);
}

TEST_CASE("A read that was granted to nobody is given back") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto writer = rig.open(rig.new_uuid());
  const auto reader = rig.open(rig.new_uuid(), snapshot.id());
  // The read has to wait for the copy that the write asks for; its connection is lost meanwhile.
  rig.submit(writer, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 1), 5);
  rig.submit(reader, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(0, 1), 5);
  rig.disconnect(reader);
  rig.expect(writer, wire::MESSAGE_UNIQUE_REPLY);
  for (const auto& client : rig.engine().clients()) CHECK(client.reads == 0);
  CHECK(rig.engine().status().snapshot_reads == 1);
}

TEST_CASE("An overwrite sent again gets the same places, until any of them is finished") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto session = rig.new_uuid();
  const auto first = rig.open(session, snapshot.id());
  auto request = with_range<wire::SnapshotWrite>(10, 4);
  request.set_overwrite(true);
  const auto id = rig.send(first, wire::MESSAGE_SNAPSHOT_WRITE, request);
  const auto given =
      rig.expect(first, wire::MESSAGE_SNAPSHOT_WRITE_REPLY).as<wire::SnapshotWriteReply>();
  REQUIRE(given.pieces_size() >= 1);
  REQUIRE(given.pieces(0).provisional());
  rig.disconnect(first);
  const auto second = rig.open(session, snapshot.id(), true);
  rig.send(second, wire::MESSAGE_SNAPSHOT_WRITE, request, id);
  const auto again =
      rig.expect(second, wire::MESSAGE_SNAPSHOT_WRITE_REPLY).as<wire::SnapshotWriteReply>();
  CHECK(again.SerializeAsString() == given.SerializeAsString());

  wire::FinishWrite finish;
  for (const auto& piece : given.pieces()) {
    auto* run = finish.add_runs();
    run->set_start(piece.start());
    run->set_count(piece.count());
    run->set_store_chunk(piece.store_chunk());
    for (std::uint64_t i = 0; i < piece.count(); ++i) run->add_crcs(1);
  }
  rig.send(second, wire::MESSAGE_FINISH_WRITE, finish);
  rig.expect(second, wire::MESSAGE_FINISH_WRITE_REPLY);
  rig.send(second, wire::MESSAGE_FINISH_WRITE, finish);
  rig.expect_error(second, wire::ERROR_STALE);
  CHECK(rig.engine().status().exception_chunks == 4);
}

void add_run(wire::FinishWrite& finish, std::uint64_t chunk, std::uint64_t place) {
  auto* run = finish.add_runs();
  run->set_start(chunk);
  run->set_count(1);
  run->set_store_chunk(place);
  run->add_crcs(1);
}

TEST_CASE("Spare places become the content of any chunk that has no place of its own") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto c = rig.open(rig.new_uuid(), snapshot.id());
  auto request = with_range<wire::SnapshotWrite>(10, 1);
  request.set_overwrite(true);
  request.set_spares_wanted(2);
  rig.send(c, wire::MESSAGE_SNAPSHOT_WRITE, request);
  const auto given =
      rig.expect(c, wire::MESSAGE_SNAPSHOT_WRITE_REPLY).as<wire::SnapshotWriteReply>();
  REQUIRE(given.spares_size() == 1);
  REQUIRE(given.spares(0).count() == 2);
  const std::uint64_t spare = given.spares(0).store_chunk();
  CHECK(spare != given.pieces(0).store_chunk());

  wire::FinishWrite finish;
  add_run(finish, 10, given.pieces(0).store_chunk());
  add_run(finish, 77, spare);
  rig.send(c, wire::MESSAGE_FINISH_WRITE, finish);
  rig.expect(c, wire::MESSAGE_FINISH_WRITE_REPLY);
  const auto read = read_chunks(rig, c, 77, 1);
  CHECK(read.pieces(0).store_chunk() == spare);

  // The chunk has a place now; nobody else's places are taken for spares.
  wire::FinishWrite wrong;
  add_run(wrong, 77, spare + 1);
  rig.send(c, wire::MESSAGE_FINISH_WRITE, wrong);
  rig.expect_error(c, wire::ERROR_STALE);
  wire::FinishWrite foreign;
  add_run(foreign, 78, spare + 2);
  rig.send(c, wire::MESSAGE_FINISH_WRITE, foreign);
  rig.expect_error(c, wire::ERROR_STALE);
  CHECK(rig.engine().status().exception_chunks == 2);

  // Who overwrites what has a place already gets none.
  rig.send(c, wire::MESSAGE_SNAPSHOT_WRITE, request);
  CHECK(rig.expect(c, wire::MESSAGE_SNAPSHOT_WRITE_REPLY)
            .as<wire::SnapshotWriteReply>()
            .spares_size() == 0);
}

}  // namespace
}  // namespace csnap
