// SPDX-License-Identifier: Apache-2.0
// A service with a real engine on a store in memory, and the far ends of its connections: frames
// go in as bytes, what the service sends is parsed and kept until a test looks at it.
#pragma once

#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/convert.h"
#include "server/engine.h"
#include "server/service.h"
#include "store/memory_device.h"

namespace csnap {

struct Received {
  FrameHeader header;
  std::vector<std::byte> body;

  template <class Message>
  Message as() const {
    Message message;
    const Frame frame{header, body};
    const Status parsed = parse_body(frame, message);
    INFO(parsed.to_string());
    REQUIRE(parsed.ok());
    return message;
  }
};

class ServiceRig : public Transport {
 public:
  static constexpr std::uint64_t kChunks = 256;

  explicit ServiceRig(ServiceOptions options = default_options());
  ~ServiceRig() override;
  static ServiceOptions default_options();

  // -- the server ------------------------------------------------------------------------------
  Service& service() { return *service_; }
  Engine& engine() { return *engine_; }
  void restart();  // in order; every connection is closed
  // Turns until nothing moves any more. The clock goes on by a millisecond a turn.
  void settle();
  void pass(std::uint64_t ms);   // time, in steps that are not a pause
  void stall(std::uint64_t ms);  // time in one step

  // -- clients ---------------------------------------------------------------------------------
  ConnectionId connect(PeerRights rights = {true, true}, bool local = true);
  void disconnect(ConnectionId connection);
  // Sends and settles. Returns the request id: the next one unless given.
  std::uint64_t send(ConnectionId connection, wire::MessageType type,
                     const google::protobuf::MessageLite& body, std::uint64_t id = 0);
  // Sends and does nothing more.
  void submit(ConnectionId connection, wire::MessageType type,
              const google::protobuf::MessageLite& body, std::uint64_t id);
  void send_raw(ConnectionId connection, const std::vector<std::byte>& bytes);
  // The next frame, if there is one.
  std::optional<Received> next(ConnectionId connection);
  // The next frame, which must be there and of this type.
  Received expect(ConnectionId connection, wire::MessageType type);
  // The same, past pushes.
  Received expect_reply(ConnectionId connection, wire::MessageType type);
  // The next frame must be an Error with this code; its text.
  std::string expect_error(ConnectionId connection, wire::ErrorCode code);
  bool closed(ConnectionId connection) const { return ends_.at(connection).closed; }
  bool paused(ConnectionId connection) const { return ends_.at(connection).paused; }
  // Nothing is taken from the service for it until it is taken off.
  void hold_output(ConnectionId connection, bool hold);

  static wire::Hello hello(const Uuid& session, std::uint64_t snapshot = 0, bool resume = false);
  Uuid new_uuid() { return Uuid::from_random(++uuids_, 7); }
  // Connects, says Hello, takes the Welcome.
  ConnectionId open(const Uuid& session, std::uint64_t snapshot = 0, bool resume = false);
  ConnectionId open_admin();
  wire::SnapshotInfo create(const std::string& name);
  // A request and its answer over a connection of its own: others are still served.
  void check_others_are_served();

  // -- Transport -------------------------------------------------------------------------------
  void wants_write(ConnectionId connection) override;
  void close(ConnectionId connection, OutputBuffer last) override;
  Status takes_stream() override { return stream_refused; }
  void hand_over(ConnectionId connection, OutputBuffer last, StreamRequest request) override;
  void pause_read(ConnectionId connection) override;
  void resume_read(ConnectionId connection) override;

  std::uint64_t writes = 0;  // wants_write() calls
  std::vector<std::string> logged;
  Status stream_refused;                          // what takes_stream() says
  std::map<ConnectionId, StreamRequest> streams;  // handed over

 private:
  struct End {
    FrameReader reader;
    std::deque<Received> in;
    bool closed = false, paused = false, held = false;
  };
  void start();
  void stop();
  void take(ConnectionId connection);
  void arrived(End& end, const OutputBuffer& bytes);

  ServiceOptions options_;
  std::shared_ptr<MemoryVolume> origin_, store_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Engine> engine_;
  std::map<ConnectionId, End> ends_;
  ConnectionId last_connection_ = 0;
  std::uint64_t last_request_ = 1000, uuids_ = 0, now_ms_ = 1, moved_ = 0;
};

// One range of a request.
template <class Message>
Message with_range(std::uint64_t start, std::uint64_t count) {
  Message message;
  auto* range = message.add_ranges();
  range->set_start(start);
  range->set_count(count);
  return message;
}

// Reads a snapshot and takes the answer.
inline wire::SnapshotReadReply read_chunks(ServiceRig& rig, ConnectionId c, std::uint64_t start,
                                           std::uint64_t count) {
  rig.send(c, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(start, count));
  return rig.expect(c, wire::MESSAGE_SNAPSHOT_READ_REPLY).as<wire::SnapshotReadReply>();
}

// Says hello again for a session of before.
inline wire::Welcome resume(ServiceRig& rig, ConnectionId c, wire::Hello hello) {
  hello.set_resume(true);
  rig.send(c, wire::MESSAGE_HELLO, hello);
  return rig.expect(c, wire::MESSAGE_WELCOME).as<wire::Welcome>();
}

}  // namespace csnap
