// SPDX-License-Identifier: Apache-2.0
#include "server/daemon_connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

namespace csnap {
namespace {

using boost::system::error_code;

// How long a peer may take to notice the end.
constexpr auto kLinger = std::chrono::seconds(2);
// How long a peer may take to accept its last bytes before the socket is given away.
constexpr auto kLeave = std::chrono::seconds(10);
// Memory kept for a connection that is quiet.
constexpr std::size_t kKeep = 64u << 10;

}  // namespace

Connection::Connection(StreamSocket socket, Peer peer, const Callbacks& callbacks)
    : socket_(std::move(socket)),
      peer_(std::move(peer)),
      callbacks_(callbacks),
      deadline_(socket_.get_executor()) {}

void Connection::start() {
  error_code failed;
  socket_.non_blocking(true, failed);
  if (failed) return close_later(failed.message());
  wait_readable();
}

void Connection::resume_read() {
  paused_ = false;
  wait_readable();
}

void Connection::wait_readable() {
  if (reading_) return;
  if (state_ != State::lingering && (state_ != State::open || paused_)) return;
  reading_ = true;
  socket_.async_wait(StreamSocket::wait_read, [self = shared_from_this()](error_code failed) {
    self->reading_ = false;
    if (!failed) self->readable();
  });
}

void Connection::readable() {
  if (state_ != State::lingering && (state_ != State::open || paused_)) return;
  error_code failed;
  const auto size = socket_.read_some(
      boost::asio::buffer(callbacks_.buffer.data(), callbacks_.buffer.size()), failed);
  if (failed == boost::asio::error::would_block || failed == boost::asio::error::interrupted) {
    return wait_readable();
  }
  if (failed == boost::asio::error::eof) return close("the peer closed the connection");
  if (failed) return close(failed.message());
  if (state_ == State::open) callbacks_.received(*this, callbacks_.buffer.first(size));
  wait_readable();
}

void Connection::flush() {
  const bool sends = state_ == State::open || state_ == State::closing || state_ == State::leaving;
  if (!sends || writing_) return;
  while (write_some()) {
  }
}

bool Connection::refill() {
  if (sent_ < sending_.size()) return true;
  sending_.clear();
  sent_ = 0;
  if (state_ == State::open) {
    callbacks_.take_output(*this, sending_);
  } else {
    std::swap(sending_, last_);
    last_.clear();
  }
  if (!sending_.empty()) return true;
  if (sending_.capacity() > kKeep) sending_.shrink_to_fit();
  return false;
}

bool Connection::write_some() {
  if (!refill()) {
    if (state_ == State::closing) linger();
    if (state_ == State::leaving) leave();
    return false;
  }
  error_code failed;
  sent_ += socket_.write_some(boost::asio::buffer(sending_.data() + sent_, sending_.size() - sent_),
                              failed);
  if (!failed || failed == boost::asio::error::interrupted) return true;
  if (failed == boost::asio::error::would_block) {
    wait_writable();
  } else {
    close_later(failed.message());
  }
  return false;
}

void Connection::wait_writable() {
  writing_ = true;
  socket_.async_wait(StreamSocket::wait_write, [self = shared_from_this()](error_code failed) {
    self->writing_ = false;
    if (!failed) self->flush();
  });
}

void Connection::close_with(std::vector<std::byte> last) {
  if (state_ != State::open) return;
  state_ = State::closing;
  last_ = std::move(last);
  flush();
}

// A socket that is closed with bytes unread resets the connection, and the peer may lose what
// was sent last, which says why. So the peer closes first; its bytes until then are thrown away.
void Connection::linger() {
  state_ = State::lingering;
  error_code ignored;  // the peer is gone already, then reading says so
  socket_.shutdown(StreamSocket::shutdown_send, ignored);
  deadline_.expires_after(kLinger);
  deadline_.async_wait([self = shared_from_this()](error_code stopped) {
    if (!stopped) self->close("the peer did not close its side");
  });
  wait_readable();
}

void Connection::give_away(std::vector<std::byte> last) {
  if (state_ != State::open) return;
  state_ = State::leaving;
  last_ = std::move(last);
  deadline_.expires_after(kLeave);
  deadline_.async_wait([self = shared_from_this()](error_code stopped) {
    if (!stopped) self->close("the peer does not take what it is sent");
  });
  flush();
}

void Connection::leave() {
  state_ = State::left;
  deadline_.cancel();
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->state_ != State::left) return;
    self->state_ = State::closed;
    self->callbacks_.given_away(*self, self->socket_.release());
  });
}

// The owner may be in the middle of something that uses the connection: it hears of it in a
// handler of its own.
void Connection::close_later(const std::string& why) {
  boost::asio::post(socket_.get_executor(), [self = shared_from_this(), why] { self->close(why); });
}

void Connection::close(const std::string& why) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  deadline_.cancel();
  error_code ignored;  // it is gone for us either way
  socket_.close(ignored);
  callbacks_.closed(*this, why);
}

}  // namespace csnap
