// SPDX-License-Identifier: Apache-2.0
// A simulated administrator: one request at a time over a connection of its own, made when there is
// none. A request whose connection is lost has an outcome that nobody knows.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proto/frame.h"
#include "test/sim/network.h"

namespace csnap::sim {

class World;

class Admin : public Endpoint {
 public:
  explicit Admin(World& world) : world_(world) {}

  // What came back; `unavailable` with no frame when nobody knows.
  struct Answer {
    Status status;
    std::uint16_t type = 0;
    std::vector<std::byte> body;
    bool known = false;
  };
  using Told = std::function<void(const Answer&)>;
  bool busy() const { return told_ != nullptr; }
  // REQUIRES: !busy().
  void ask(wire::MessageType type, std::unique_ptr<google::protobuf::MessageLite> request,
           Told told);
  void reset();  // hangs up

  void link_opened(LinkId link) override;
  void link_bytes(LinkId link, std::vector<std::byte> bytes) override;
  void link_closed(LinkId link) override;

 private:
  void send_request();
  void answer(Answer answer);

  World& world_;
  LinkId link_ = 0;
  bool open_ = false;
  FrameReader reader_;
  wire::MessageType type_ = wire::MESSAGE_NONE;
  std::unique_ptr<google::protobuf::MessageLite> request_;
  bool sent_ = false;
  Told told_;
  std::uint64_t next_id_ = 1, request_id_ = 0, asked_ = 0;
};

}  // namespace csnap::sim
