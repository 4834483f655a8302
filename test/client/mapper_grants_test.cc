// SPDX-License-Identifier: Apache-2.0
// Barriers, drops, eviction, and the answers to operations.
#include "test/client/mapper_rig.h"

namespace csnap {

using Known = MapperRig::Known;

namespace {

wire::BarrierBegin barrier(std::uint64_t id) {
  wire::BarrierBegin begin;
  begin.set_barrier(id);
  return begin;
}

}  // namespace

TEST_CASE("A barrier is answered after the writes in flight have ended and grants are forgotten") {
  MapperRig rig;
  rig.connect();
  const auto asked = rig.unique(5, 3);
  rig.reply(wire::MESSAGE_UNIQUE_REPLY, rig.expect<wire::UniqueRequest>(wire::MESSAGE_UNIQUE).first,
            wire::UniqueReply());
  rig.push(wire::MESSAGE_BARRIER_BEGIN, barrier(42));
  CHECK(rig.host.drains == 1);
  CHECK(rig.sent().empty());
  CHECK_FALSE(rig.host.unique.empty());
  rig.mapper->drained();
  CHECK(rig.host.unique.empty());
  CHECK(rig.host.reopens == 1);
  CHECK(rig.expect<wire::BarrierDone>(wire::MESSAGE_BARRIER_DONE).second.barrier() == 42);
}

TEST_CASE("A barrier keeps the places of a snapshot") {
  MapperRig rig(false);
  rig.connect();
  const auto writing = rig.write(1, 4, false);
  rig.grant_write(false);
  rig.push(wire::MESSAGE_BARRIER_BEGIN, barrier(1));
  rig.mapper->drained();
  CHECK(rig.host.places.size() == 1);
}

TEST_CASE("A barrier that begins again on a new connection is drained once and answered") {
  MapperRig rig;
  rig.connect();
  rig.push(wire::MESSAGE_BARRIER_BEGIN, barrier(42));
  rig.mapper->disconnected();
  rig.connect(Known::resumed);
  rig.push(wire::MESSAGE_BARRIER_BEGIN, barrier(42));
  CHECK(rig.host.drains == 1);
  CHECK(rig.sent().empty());
  rig.mapper->drained();
  CHECK(rig.expect<wire::BarrierDone>(wire::MESSAGE_BARRIER_DONE).second.barrier() == 42);
}

TEST_CASE("A barrier drained without a connection is answered on the next") {
  MapperRig rig;
  rig.connect();
  rig.push(wire::MESSAGE_BARRIER_BEGIN, barrier(42));
  rig.mapper->disconnected();
  rig.mapper->drained();
  CHECK(rig.host.reopens == 1);
  rig.connect(Known::resumed);
  CHECK(rig.expect<wire::BarrierDone>(wire::MESSAGE_BARRIER_DONE).second.barrier() == 42);
}

TEST_CASE("A cache drop forgets what it names and is not answered") {
  MapperRig rig(false);
  rig.connect();
  const auto writing = rig.write(1, 4, false);
  rig.grant_write(false);
  REQUIRE(rig.host.places.size() == 1);
  wire::CacheDrop drop;
  drop.set_mappings(true);
  rig.push(wire::MESSAGE_CACHE_DROP, drop);
  rig.mapper->drained();
  CHECK(rig.host.places.empty());
  CHECK(rig.sent().empty());
}

TEST_CASE("An eviction ends everything for ever and is answered when all I/O has ended") {
  MapperRig rig(false);
  rig.connect();
  const auto held = rig.read(1, 1);
  rig.grant_read(11, true);
  const auto writing = rig.write(2, 1, true);
  rig.grant_write(true);
  const auto waiting = rig.read(3, 1);
  REQUIRE(rig.sent().size() == 1);
  wire::Evict evict;
  evict.set_code(wire::ERROR_STALE);
  evict.set_reason("snapshot monday was deleted");
  rig.push(wire::MESSAGE_EVICT, evict);
  CHECK(rig.host.end.code() == Code::stale);
  CHECK(rig.host.end.message() == "snapshot monday was deleted");
  CHECK(waiting->status.code() == Code::stale);
  CHECK(rig.read(4, 1)->status.code() == Code::stale);
  rig.mapper->drained();
  CHECK(rig.host.reopens == 0);
  rig.mapper->finish_read(held->mapping.handle);
  for (const auto& message : rig.sent()) CHECK(message.header.type == wire::MESSAGE_FINISH_READ);
  CHECK(rig.finish_write(writing->mapping)->status.code() == Code::stale);
  rig.expect<wire::EvictDone>(wire::MESSAGE_EVICT_DONE);
}

TEST_CASE("Exclusive places are remembered, others are not") {
  MapperRig rig(false);
  rig.connect();
  const auto asked = rig.read(1, 3);
  const auto id = rig.expect<wire::SnapshotRead>(wire::MESSAGE_SNAPSHOT_READ).first;
  wire::SnapshotReadReply reply;
  reply.set_read_id(11);
  for (std::uint64_t c = 1; c <= 3; ++c) {
    auto* piece = reply.add_pieces();
    piece->set_start(c);
    piece->set_count(1);
    if (c > 1) piece->set_store_chunk(100 + c);
    piece->set_exclusive(c == 3);
  }
  rig.reply(wire::MESSAGE_SNAPSHOT_READ_REPLY, id, reply);
  REQUIRE(asked->mapping.sources.size() == 3);
  CHECK(asked->mapping.sources[0].on_origin);
  CHECK(asked->mapping.sources[1].store == StoreChunk(102));
  REQUIRE(rig.host.places.size() == 1);
  CHECK(rig.host.places[0].chunks == ChunkRun{Chunk(3), 1});
  CHECK_FALSE(rig.host.places[0].rewritable);
}

// The answer to the read of chunks 3 and 4, and of what lies ahead.
wire::SnapshotReadReply two_and_ahead() {
  wire::SnapshotReadReply reply;
  reply.set_read_id(12);
  auto* piece = reply.add_pieces();
  piece->set_start(3);
  piece->set_count(2);
  for (const std::uint64_t start : {5, 9}) {
    auto* next = reply.add_ahead();
    next->set_start(start);
    next->set_count(4);
    next->set_store_chunk(100 + start);
    next->set_exclusive(true);
  }
  return reply;
}

TEST_CASE(
    "Who reads on where a read ended learns what lies ahead, and who does not asks for nothing") {
  MapperRig rig(false);
  rig.connect();
  static_cast<void>(rig.read(1, 2));
  rig.grant_read(11, true);
  const auto next = rig.read(3, 2);
  const auto [id, request] = rig.expect<wire::SnapshotRead>(wire::MESSAGE_SNAPSHOT_READ);
  CHECK(request.ahead() > 0);
  rig.reply(wire::MESSAGE_SNAPSHOT_READ_REPLY, id, two_and_ahead());
  REQUIRE(next->status.ok());
  REQUIRE(next->mapping.sources.size() == 1);
  REQUIRE(rig.host.places.size() == 2);
  CHECK(rig.host.places[1].chunks == ChunkRun{Chunk(9), 4});
  // All up to there is remembered: the reader will go on behind it.
  static_cast<void>(rig.read(13, 1));
  CHECK(rig.expect<wire::SnapshotRead>(wire::MESSAGE_SNAPSHOT_READ).second.ahead() > 0);
  static_cast<void>(rig.read(40, 1));
  CHECK(rig.expect<wire::SnapshotRead>(wire::MESSAGE_SNAPSHOT_READ).second.ahead() == 0);
}

TEST_CASE("Pieces ahead that make no sense are an error, and the read is given back") {
  auto reply = two_and_ahead();
  SECTION("with a gap") {
    reply.mutable_ahead(1)->set_start(10);
  }
  SECTION("not to be remembered") {
    reply.mutable_ahead(0)->set_exclusive(false);
  }
  SECTION("not asked for") {
    reply.mutable_ahead(1)->set_count(1000);
  }
  MapperRig rig(false);
  rig.connect();
  static_cast<void>(rig.read(1, 2));
  rig.grant_read(11, true);
  const auto next = rig.read(3, 2);
  const auto id = rig.expect<wire::SnapshotRead>(wire::MESSAGE_SNAPSHOT_READ).first;
  rig.reply(wire::MESSAGE_SNAPSHOT_READ_REPLY, id, reply);
  CHECK(next->status.code() == Code::corrupt);
  CHECK(rig.host.places.empty());
  CHECK(rig.expect<wire::FinishRead>(wire::MESSAGE_FINISH_READ).second.read_ids(0) == 12);
}

TEST_CASE("Pieces that do not cover what was asked for are an error, and the read is given back") {
  MapperRig rig(false);
  rig.connect();
  const auto asked = rig.read(1, 3);
  const auto id = rig.expect<wire::SnapshotRead>(wire::MESSAGE_SNAPSHOT_READ).first;
  wire::SnapshotReadReply reply;
  reply.set_read_id(11);
  auto* piece = reply.add_pieces();
  piece->set_start(1);
  piece->set_count(2);
  rig.reply(wire::MESSAGE_SNAPSHOT_READ_REPLY, id, reply);
  CHECK(asked->status.code() == Code::corrupt);
  CHECK(rig.expect<wire::FinishRead>(wire::MESSAGE_FINISH_READ).second.read_ids(0) == 11);
}

TEST_CASE("A provisional write is remembered only when its end is answered") {
  MapperRig rig(false);
  rig.connect();
  const auto writing = rig.write(1, 2, true);
  rig.grant_write(true);
  REQUIRE(writing->mapping.handle != 0);
  CHECK(rig.host.places.empty());
  const auto finished = rig.finish_write(writing->mapping);
  const auto [id, finish] = rig.expect<wire::FinishWrite>(wire::MESSAGE_FINISH_WRITE);
  REQUIRE(finish.runs_size() == 1);
  CHECK(finish.runs(0).store_chunk() == 701);
  CHECK(finish.runs(0).crcs_size() == 2);
  rig.reply(wire::MESSAGE_FINISH_WRITE_REPLY, id, wire::FinishWriteReply());
  CHECK(finished->status.ok());
  REQUIRE(rig.host.places.size() == 1);
  CHECK_FALSE(rig.host.places[0].rewritable);
}

// A mapper that has been given spare places.
void give_spares(MapperRig& rig, std::uint64_t spares) {
  const auto writing = rig.write(1, 1, true);
  rig.grant_write(true, spares);
  const auto finished = rig.finish_write(writing->mapping);
  const auto id = rig.expect<wire::FinishWrite>(wire::MESSAGE_FINISH_WRITE).first;
  rig.reply(wire::MESSAGE_FINISH_WRITE_REPLY, id, wire::FinishWriteReply());
  REQUIRE(finished->status.ok());
}

TEST_CASE("With spare places a whole chunk is written with one message, until half are gone") {
  MapperRig rig(false);
  rig.connect();
  give_spares(rig, SparePlaces::kAtOnce);
  for (std::uint64_t i = 0; i < SparePlaces::kAtOnce / 2; ++i) {
    const auto writing = rig.write(10 + i, 1, true);
    REQUIRE(writing->mapping.handle != 0);
    REQUIRE(writing->mapping.targets.size() == 1);
    CHECK(writing->mapping.targets[0].store == StoreChunk(900 + i));
    CHECK(writing->mapping.targets[0].provisional);
    CHECK(rig.sent().empty());
    rig.finish_write(writing->mapping);
    const auto [id, finish] = rig.expect<wire::FinishWrite>(wire::MESSAGE_FINISH_WRITE);
    CHECK(finish.runs(0).store_chunk() == 900 + i);
    rig.reply(wire::MESSAGE_FINISH_WRITE_REPLY, id, wire::FinishWriteReply());
  }
  const auto writing = rig.write(500, 1, true);
  CHECK_FALSE(writing->done);
  // While that one asks for more, others go on with what there is.
  CHECK(rig.write(501, 2, true)->mapping.targets.size() == 1);
  const auto request = rig.expect<wire::SnapshotWrite>(wire::MESSAGE_SNAPSHOT_WRITE).second;
  CHECK(request.spares_wanted() == SparePlaces::kAtOnce);
}

TEST_CASE("A chunk that has a place after all is asked for before it is written again") {
  MapperRig rig(false);
  rig.connect();
  give_spares(rig, SparePlaces::kAtOnce);
  const auto guessed = rig.write(10, 1, true);
  const auto finished = rig.finish_write(guessed->mapping);
  rig.error(rig.expect<wire::FinishWrite>(wire::MESSAGE_FINISH_WRITE).first, Code::stale);
  CHECK(finished->status.code() == Code::stale);
  // So are others, until one of them is new again.
  const auto other = rig.write(30, 1, true);
  rig.grant_write(true);
  CHECK(other->done);
  CHECK(rig.write(31, 1, true)->done);
  CHECK(rig.sent().empty());
  const auto again = rig.write(10, 1, true);
  CHECK_FALSE(again->done);
  rig.grant_write(false);
  CHECK(again->mapping.handle == 0);
}

TEST_CASE("Spare places are lost with the session and with the server, not with a connection") {
  MapperRig rig(false);
  rig.connect();
  give_spares(rig, SparePlaces::kAtOnce);
  rig.mapper->disconnected();
  CHECK_FALSE(rig.write(10, 1, true)->done);
  rig.connect(MapperRig::Known::resumed);
  rig.grant_write(true);
  CHECK(rig.write(11, 1, true)->done);
  SECTION("a new session") {
    rig.mapper->disconnected();
    rig.connect();
    rig.mapper->drained();
  }
  SECTION("a new server") {
    const auto held = rig.write(12, 1, true);
    rig.mapper->disconnected();
    rig.mapper->abandon_write(1);  // nobody's
    rig.connect(MapperRig::Known::restarted);
    CHECK(rig.sent().empty());
    for (std::uint64_t handle = 1; handle < 10; ++handle) rig.mapper->abandon_write(handle);
    const auto id = rig.expect<wire::UploadDone>(wire::MESSAGE_UPLOAD_DONE).first;
    rig.reply(wire::MESSAGE_UPLOAD_DONE_REPLY, id, wire::UploadDoneReply());
    CHECK(rig.finish_write(held->mapping)->status.code() == Code::stale);
  }
  CHECK_FALSE(rig.write(13, 1, true)->done);
  CHECK(rig.expect<wire::SnapshotWrite>(wire::MESSAGE_SNAPSHOT_WRITE).second.spares_wanted() > 0);
}

TEST_CASE("What is not available now is asked again after the time named") {
  MapperRig rig;
  rig.connect();
  const auto asked = rig.unique(5, 3);
  const auto id = rig.expect<wire::UniqueRequest>(wire::MESSAGE_UNIQUE).first;
  rig.error(id, Code::unavailable, 30);
  CHECK_FALSE(asked->done);
  CHECK(rig.sent().empty());
  CHECK(rig.mapper->next_tick_ms() == rig.time + 30);
  rig.time += 30;
  rig.mapper->tick(rig.time);
  rig.expect<wire::UniqueRequest>(wire::MESSAGE_UNIQUE);
}

TEST_CASE("A full store is an error to the one who asked and to nobody else") {
  MapperRig rig;
  rig.connect();
  const auto asked = rig.unique(5, 3), other = rig.unique(50, 1);
  const auto sent = rig.sent();
  rig.error(sent.at(0).header.request_id, Code::no_space);
  CHECK(asked->status.code() == Code::no_space);
  CHECK_FALSE(other->done);
  CHECK(rig.host.hung_up.ok());
}

TEST_CASE("No more requests are under way than the server takes") {
  MapperRig rig;
  rig.connect();
  std::vector<std::shared_ptr<MapperRig::Outcome>> asked;
  for (std::uint64_t i = 0; i < 200; ++i) asked.push_back(rig.unique(2 * i, 1));
  auto sent = rig.sent();
  CHECK(sent.size() < 100);
  std::size_t answered = 0;
  while (!sent.empty()) {
    for (const auto& message : sent)
      rig.reply(wire::MESSAGE_UNIQUE_REPLY, message.header.request_id, wire::UniqueReply());
    answered += sent.size();
    sent = rig.sent();
  }
  CHECK(answered == 200);
}

}  // namespace csnap
