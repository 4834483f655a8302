// SPDX-License-Identifier: Apache-2.0
// One client's connection: bytes in, bytes out, no idea of what they mean. Output is fetched from
// whoever makes it only when the socket has taken all that was fetched before, so that what a slow
// peer leaves lying is in one place, where it is counted.
//
// Threading: one thread, the one that runs the io_context. Ownership: the connection owns its
// socket; callbacks outlive it. It is held by shared_ptr: its own waiting operations hold one too.
// Errors: any error of the socket closes the connection; the callback closed says why.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
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
    // Swaps what is to be sent into the vector, which is empty but may have memory; leaves it empty
    // when there is nothing.
    std::function<void(Connection&, std::vector<std::byte>&)> take_output;
    // Runs once, whoever closed it; never from within a function of this class but close().
    std::function<void(Connection&, const std::string& why)> closed;
    // Runs instead after give_away(), in a handler of its own: the socket is whoever's that takes
    // it.
    std::function<void(Connection&, int socket)> given_away;
  };

  Connection(StreamSocket socket, Peer peer, const Callbacks& callbacks);

  const Peer& peer() const { return peer_; }
  // Begins to read.
  void start();
  void pause_read() { paused_ = true; }
  void resume_read();
  // There is output: sends as much as the socket takes; the rest goes by itself.
  void flush();
  // Sends what was taken before and `last`, then closes, in such a way that the peer gets it even
  // if it is still sending. Reads and takes nothing more.
  void close_with(std::vector<std::byte> last);
  // Sends what was taken before and `last`, then gives the socket away. Reads and takes nothing
  // more.
  void give_away(std::vector<std::byte> last);
  // At once.
  void close(const std::string& why);

 private:
  // closing: sends the last bytes. lingering: all is sent; until the peer has seen the end of it.
  // leaving: sends the last bytes. left: all is sent; until the handler gives the socket away.
  enum class State : std::uint8_t { open, closing, lingering, leaving, left, closed };

  void wait_readable();
  void readable();
  void wait_writable();
  bool write_some();  // whether the socket may take more
  bool refill();      // whether there is something to send
  void linger();
  void leave();
  void close_later(const std::string& why);

  StreamSocket socket_;
  const Peer peer_;
  const Callbacks& callbacks_;
  boost::asio::steady_timer deadline_;  // of lingering, of leaving
  State state_ = State::open;
  bool paused_ = false;
  bool reading_ = false;  // an operation waits
  bool writing_ = false;  // an operation waits
  std::vector<std::byte> sending_;
  std::size_t sent_ = 0;         // of sending_
  std::vector<std::byte> last_;  // after sending_
};

}  // namespace csnap
