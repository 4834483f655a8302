// SPDX-License-Identifier: Apache-2.0
// A mapper with a scripted server at the other end and a host that writes down what it is told.
#pragma once

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/mapper.h"
#include "proto/convert.h"

namespace csnap {

class RecordingHost : public MapperHost {
 public:
  void opened(const SessionInfo& info) override { session = info; }
  void standing(const Standing& s) override { now = s; }
  void granted(std::span<const ChunkRun> runs) override {
    unique.insert(unique.end(), runs.begin(), runs.end());
  }
  void learned(ChunkRun chunks, StoreChunk store, bool rewritable,
               std::span<const std::uint32_t>) override {
    places.push_back({chunks, store, rewritable});
  }
  void drain() override { ++drains; }
  void forget(bool u, bool p) override {
    if (u) unique.clear();
    if (p) places.clear();
    ++forgets;
  }
  void reopen() override { ++reopens; }
  void gone(const Status& why) override { end = why; }
  void hang_up(const Status& why) override { hung_up = why; }
  void handover(const std::vector<std::string>& addresses, std::uint64_t retry) override {
    handed_over = addresses;
    retry_ms = retry;
  }
  void copy(const CopyTask& task) override { copies.push_back(task); }

  struct Place {
    ChunkRun chunks;
    StoreChunk store;
    bool rewritable;
  };
  std::optional<SessionInfo> session;
  Standing now;
  std::vector<ChunkRun> unique;
  std::vector<Place> places;
  int drains = 0, forgets = 0, reopens = 0;
  Status end, hung_up;
  std::vector<std::string> handed_over;
  std::vector<CopyTask> copies;
  std::uint64_t retry_ms = 0;
};

inline constexpr std::uint64_t kLease = 1000, kHeartbeat = 100;

class MapperRig {
 public:
  struct Message {
    FrameHeader header;
    std::vector<std::byte> body;
  };

  explicit MapperRig(bool origin = true) : origin_(origin) {
    options.session = Uuid::from_random(1, 2);
    options.client_name = "test";
    options.volume_name = origin ? "origin" : "monday";
    mapper.emplace(options, host);
  }

  // -- the client's messages -------------------------------------------------------------------
  std::vector<Message> sent() {
    FrameReader reader;
    const OutputBuffer bytes = mapper->take_output();
    reader.feed(bytes);
    std::vector<Message> messages;
    for (;;) {
      auto frame = reader.next();
      REQUIRE(frame.ok());
      if (!frame->has_value()) return messages;
      messages.push_back({(*frame)->header, {(*frame)->body.begin(), (*frame)->body.end()}});
    }
  }
  // The one message that was sent, which must be of this type.
  template <class M>
  std::pair<std::uint64_t, M> expect(wire::MessageType type) {
    const auto messages = sent();
    REQUIRE(messages.size() == 1);
    return parsed<M>(messages.front(), type);
  }
  template <class M>
  static std::pair<std::uint64_t, M> parsed(const Message& message, wire::MessageType type) {
    REQUIRE(message_name(message.header.type) == message_name(type));
    M m;
    REQUIRE(parse_body({message.header, message.body}, m).ok());
    return {message.header.request_id, m};
  }

  // -- the server's ------------------------------------------------------------------------------
  void deliver(wire::MessageType type, std::uint16_t flags, std::uint64_t id,
               const google::protobuf::MessageLite& message) {
    OutputBuffer bytes;
    append_frame(bytes, type, flags, id, message);
    deliver(bytes);
  }
  void reply(wire::MessageType type, std::uint64_t id,
             const google::protobuf::MessageLite& message) {
    deliver(type, frame_flags::kReply, id, message);
  }
  void push(wire::MessageType type, const google::protobuf::MessageLite& message) {
    deliver(type, frame_flags::kPush, ++push_id_, message);
  }
  void error(std::uint64_t id, Code code, std::uint32_t retry_ms = 0) {
    OutputBuffer bytes;
    append_error(bytes, id, Status(code, "as the test wants"), false, retry_ms);
    deliver(bytes);
  }
  void deliver(const OutputBuffer& bytes) {
    FrameReader reader;
    reader.feed(bytes);
    auto frame = reader.next();
    REQUIRE((frame.ok() && frame->has_value()));
    mapper->received(**frame, time);
  }

  wire::Welcome welcome() const {
    wire::Welcome w;
    w.set_protocol_version(kProtocolVersion);
    w.set_store(uuid_to_proto(Uuid::from_random(3, 4)));
    w.set_incarnation(uuid_to_proto(Uuid::from_random(5, 6)));
    w.mutable_volume()->set_id(origin_ ? 0 : 9);
    w.mutable_volume()->set_uuid(uuid_to_proto(Uuid::from_random(7, 8)));
    w.mutable_volume()->set_name(options.volume_name);
    w.mutable_volume()->set_size(1000 * 4096);
    w.set_chunk_size(4096);
    w.set_lease_ms(kLease);
    w.set_heartbeat_ms(kHeartbeat);
    w.set_max_frame(kMaxBody);
    w.set_max_request_chunks(1000);
    w.set_max_requests(100);
    w.set_max_reads(100);
    w.set_copies(asks_for_copies);
    return w;
  }
  enum class Known { fresh, resumed, restarted };
  // Connects and greets. Returns the Hello.
  wire::Hello connect(Known known = Known::fresh) {
    mapper->connected(time);
    const auto [id, hello] = expect<wire::Hello>(wire::MESSAGE_HELLO);
    auto w = welcome();
    w.set_resumed(known == Known::resumed);
    w.set_restarted(known == Known::restarted);
    reply(wire::MESSAGE_WELCOME, id, w);
    return hello;
  }

  // -- operations whose outcome is kept ----------------------------------------------------------
  struct Outcome {
    bool done = false;
    Status status;
  };
  std::shared_ptr<Outcome> unique(std::uint64_t start, std::uint64_t count) {
    auto out = std::make_shared<Outcome>();
    mapper->unique({{Chunk(start), count}}, [out](Status s) { *out = {true, std::move(s)}; });
    return out;
  }
  struct ReadOutcome : Outcome {
    ReadMapping mapping;
  };
  std::shared_ptr<ReadOutcome> read(std::uint64_t start, std::uint64_t count) {
    auto out = std::make_shared<ReadOutcome>();
    mapper->snapshot_read({{Chunk(start), count}}, [out](Result<ReadMapping> r) {
      out->done = true;
      out->status = r.status();
      if (r.ok()) out->mapping = *r;
    });
    return out;
  }
  struct WriteOutcome : Outcome {
    WriteMapping mapping;
  };
  std::shared_ptr<WriteOutcome> write(std::uint64_t start, std::uint64_t count, bool overwrite) {
    auto out = std::make_shared<WriteOutcome>();
    const auto kind = overwrite ? Mapper::WriteKind::overwrite : Mapper::WriteKind::partial;
    mapper->snapshot_write({{Chunk(start), count}}, kind, [out](Result<WriteMapping> r) {
      out->done = true;
      out->status = r.status();
      if (r.ok()) out->mapping = *r;
    });
    return out;
  }
  std::shared_ptr<Outcome> finish_write(const WriteMapping& mapping) {
    auto out = std::make_shared<Outcome>();
    std::vector<FinishedRun> runs;
    for (const WriteTarget& t : mapping.targets)
      runs.push_back({t.chunks, t.store, std::vector<std::uint32_t>(t.chunks.count, 7)});
    mapper->finish_write(mapping.handle, runs, [out](Status s) { *out = {true, std::move(s)}; });
    return out;
  }

  // The server grants the one request that was just sent.
  std::uint64_t grant_read(std::uint64_t read_id, bool on_origin) {
    const auto [id, request] = expect<wire::SnapshotRead>(wire::MESSAGE_SNAPSHOT_READ);
    wire::SnapshotReadReply r;
    r.set_read_id(read_id);
    for (const auto& range : request.ranges()) {
      auto* piece = r.add_pieces();
      piece->set_start(range.start());
      piece->set_count(range.count());
      if (!on_origin) piece->set_store_chunk(500 + range.start());
    }
    reply(wire::MESSAGE_SNAPSHOT_READ_REPLY, id, r);
    return id;
  }
  // spares: places from store chunk 900 on.
  void grant_write(bool provisional, std::uint64_t spares = 0) {
    const auto [id, request] = expect<wire::SnapshotWrite>(wire::MESSAGE_SNAPSHOT_WRITE);
    wire::SnapshotWriteReply r;
    for (const auto& range : request.ranges()) {
      auto* piece = r.add_pieces();
      piece->set_start(range.start());
      piece->set_count(range.count());
      piece->set_store_chunk(700 + range.start());
      piece->set_provisional(provisional);
    }
    if (spares > 0) {
      auto* places = r.add_spares();
      places->set_store_chunk(900);
      places->set_count(spares);
    }
    reply(wire::MESSAGE_SNAPSHOT_WRITE_REPLY, id, r);
  }

  MapperOptions options;
  bool asks_for_copies = false;  // the server
  RecordingHost host;
  std::optional<Mapper> mapper;
  std::uint64_t time = 1'000'000;

 private:
  bool origin_;
  std::uint64_t push_id_ = 0;
};

}  // namespace csnap
