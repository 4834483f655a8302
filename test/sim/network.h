// SPDX-License-Identifier: Apache-2.0
// The simulated network: connections between clients and the one server. Each direction is a
// stream of bytes that arrives in order, in fragments of any size, after any time.
// What may go wrong: a connection is lost, with the bytes on their way, and each end hears of it
// at a time of its own; one direction falls silent (half open) and nobody is told; bytes are late.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proto/frame.h"
#include "test/sim/disk.h"

namespace csnap::sim {

using LinkId = std::uint64_t;  // the ConnectionId that the server sees

// One end. Its functions are called from events, never from within its own calls.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual void link_opened(LinkId link) = 0;
  virtual void link_bytes(LinkId link, std::vector<std::byte> bytes) = 0;
  virtual void link_closed(LinkId link) = 0;
};

class Network {
 public:
  // What is to be told of each frame that is sent, for tracing; may be null.
  std::function<void(const std::string& text)> trace;

  explicit Network(DiskContext& context) : context_(context), random_(context.random.fork()) {}

  // The server is reachable, or (null) refuses connections.
  void set_server(Endpoint* server);
  // Tells the client opened or closed, later.
  LinkId connect(Endpoint* client);
  void send(LinkId link, bool to_server, std::vector<std::byte> bytes);
  // Bytes sent before still arrive.
  void close(LinkId link, bool by_server);
  // An end is no more: the other one hears of it as of a close, or (silent) never.
  void forget(Endpoint* end, bool silent = false);

 private:
  struct Direction {
    Micros last_arrival = 0;
    bool cut = false;     // what is sent is lost
    bool closed = false;  // by its sender
  };
  struct Link {
    Endpoint* client = nullptr;
    Endpoint* server = nullptr;
    Direction to_server, to_client;
    std::uint64_t losses = 0;  // what was sent before the last of them does not arrive
  };
  Micros delay();
  void deliver(LinkId id, bool to_server, std::vector<std::byte> bytes, std::uint64_t losses);
  void arrive_close(LinkId id, bool at_server, std::uint64_t losses);
  void lose(LinkId id);
  void say(LinkId id, bool to_server, const std::vector<std::byte>& bytes) const;
  void erase_if_done(LinkId id);

  DiskContext& context_;
  Random random_;
  Endpoint* server_ = nullptr;
  LinkId next_ = 1;
  std::map<LinkId, Link> links_;
};

}  // namespace csnap::sim
