// SPDX-License-Identifier: Apache-2.0
// One client's connection: bytes in, bytes out, no idea of what they mean. What is to be sent is
// collected and goes out in one piece when the owner calls flush(), once a turn. A peer that asks
// without taking the answers is not read from until it does, and is cut off when what the
// server has to tell it, unasked, grows too large.
//
// Threading: one thread, the one that runs the io_context. Ownership: the connection owns its
// socket; callbacks outlive it. It is held by shared_ptr: its own waiting operations hold one too.
// Errors: any error of the socket closes the connection; closed() says why.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "server/daemon_listener.h"

namespace csnap {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Callbacks {
    // Where bytes are read to before received() gets them: one buffer for all connections.
    std::span<std::byte> buffer;
    std::function<void(Connection&, std::span<const std::byte>)> received;
    // Runs once, whoever closed it. Not from within send(), flush() or close_when_sent().
    std::function<void(Connection&, const std::string& why)> closed;
  };

  Connection(StreamSocket socket, Peer peer, const Callbacks& callbacks);

  const Peer& peer() const { return peer_; }
  // Begins to read.
  void start();
  // To be sent with the next flush().
  void send(std::span<const std::byte> bytes);
  // As much as the socket takes; the rest goes by itself.
  void flush();
  // Reads no more; closes when everything is sent.
  void close_when_sent();
  // At once.
  void close(const std::string& why);
  bool closed() const { return state_ == State::closed; }
  // Bytes that send() got and the socket has not.
  std::size_t unsent() const { return collected_.size() + sending_.size() - sent_; }

 private:
  enum class State : std::uint8_t { open, closing, closed };

  void wait_readable();
  void readable();
  void wait_writable();
  bool write_some();  // whether the socket may take more
  void close_later(const std::string& why);

  StreamSocket socket_;
  const Peer peer_;
  const Callbacks& callbacks_;
  State state_ = State::open;
  bool reading_ = false;  // an operation waits
  bool writing_ = false;  // an operation waits
  std::vector<std::byte> collected_;
  std::vector<std::byte> sending_;
  std::size_t sent_ = 0;  // of sending_
};

}  // namespace csnap
