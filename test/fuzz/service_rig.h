// SPDX-License-Identifier: Apache-2.0
// A service with a real engine on a store in memory, and the far ends of its connections, for
// inputs that say what these send. What the service sends must always be readable; of what it says
// only that is remembered which a client must give back.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "server/service.h"
#include "test/fuzz/store_rig.h"

namespace csnap::fuzz {

// The far end of a connection.
struct FarEnd {
  ConnectionId id = 0;  // 0: not connected
  FrameReader reader;
  bool held = false;                // takes no output
  std::uint64_t read_id = 0;        // of the last read granted
  std::uint64_t barrier = 0;        // begun last
  std::uint64_t check = 0;          // check of the store begun last
  wire::SnapshotWriteReply places;  // told last
  wire::Copy copy;                  // asked for last
  std::uint64_t frames = 0, errors = 0;
  std::uint16_t last_type = 0;
};

class ServiceRig : public Transport {
 public:
  static constexpr std::size_t kEnds = 4;  // that an input controls; one more is ours

  ServiceRig();
  ~ServiceRig() override;

  FarEnd& end(std::size_t index) { return ends_[index % ends_.size()]; }
  FarEnd& own_end() { return ends_.back(); }
  void connect(FarEnd& end, bool admin_allowed);
  void disconnect(FarEnd& end);
  void bytes(FarEnd& end, std::span<const std::byte> bytes);
  void frame(FarEnd& end, std::uint16_t type, std::uint16_t flags,
             const google::protobuf::MessageLite& body);
  void raw_frame(FarEnd& end, std::uint16_t type, std::uint16_t flags,
                 std::span<const std::byte> body);
  void hold(FarEnd& end, bool held);
  void settle();  // turns until nothing moves any more
  void pass(std::uint64_t ms, std::uint64_t step_ms);
  void restart();  // in order
  static wire::Hello hello(unsigned session, wire::Role role);

  void wants_write(ConnectionId connection) override;
  void close(ConnectionId connection, OutputBuffer last) override;
  Status takes_stream() override { return {}; }
  void hand_over(ConnectionId connection, OutputBuffer last, StreamRequest request) override;
  void pause_read(ConnectionId) override {}
  void resume_read(ConnectionId) override {}

 private:
  void start();
  void stop();
  FarEnd* find(ConnectionId connection);
  void arrived(FarEnd& end, const OutputBuffer& bytes);
  void arrived(FarEnd& end, const Frame& frame);

  std::shared_ptr<MemoryVolume> origin_, store_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Engine> engine_;
  std::array<FarEnd, kEnds + 1> ends_;
  ConnectionId last_connection_ = 0;
  std::uint64_t now_ms_ = 1, moved_ = 0, incarnations_ = 0, requests_ = 0;
};

}  // namespace csnap::fuzz
