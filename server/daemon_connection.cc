// SPDX-License-Identifier: Apache-2.0
#include "server/daemon_connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace csnap {
namespace {

using boost::system::error_code;

// Answers that the peer has not taken: with more than this it is not read from.
constexpr std::size_t kStopReading = 4u << 20;
// With more than this, which only what it did not ask for can add up to, it is cut off.
constexpr std::size_t kGiveUp = 64u << 20;
// Memory kept for a connection that is quiet.
constexpr std::size_t kKeep = 64u << 10;

void empty(std::vector<std::byte>& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeep) buffer.shrink_to_fit();
}

}  // namespace

Connection::Connection(StreamSocket socket, Peer peer, const Callbacks& callbacks)
    : socket_(std::move(socket)), peer_(std::move(peer)), callbacks_(callbacks) {}

void Connection::start() {
  error_code failed;
  socket_.non_blocking(true, failed);
  if (failed) return close_later(failed.message());
  wait_readable();
}

void Connection::wait_readable() {
  if (reading_ || state_ != State::open || unsent() > kStopReading) return;
  reading_ = true;
  socket_.async_wait(StreamSocket::wait_read, [self = shared_from_this()](error_code failed) {
    self->reading_ = false;
    if (!failed) self->readable();
  });
}

void Connection::readable() {
  if (state_ != State::open) return;
  error_code failed;
  const auto size = socket_.read_some(
      boost::asio::buffer(callbacks_.buffer.data(), callbacks_.buffer.size()), failed);
  if (failed == boost::asio::error::would_block || failed == boost::asio::error::interrupted) {
    return wait_readable();
  }
  if (failed == boost::asio::error::eof) return close("the peer closed the connection");
  if (failed) return close(failed.message());
  callbacks_.received(*this, callbacks_.buffer.first(size));
  wait_readable();
}

void Connection::send(std::span<const std::byte> bytes) {
  if (state_ != State::open) return;
  if (unsent() + bytes.size() > kGiveUp) return close_later("the peer does not take its answers");
  collected_.insert(collected_.end(), bytes.begin(), bytes.end());
}

void Connection::flush() {
  if (state_ == State::closed || writing_) return;
  while (write_some()) {
  }
}

bool Connection::write_some() {
  if (sent_ == sending_.size()) {
    empty(sending_);
    sent_ = 0;
    std::swap(sending_, collected_);
  }
  if (sending_.empty()) {
    if (state_ == State::closing) close_later("closed by the server");
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
    if (failed) return;
    self->flush();
    self->wait_readable();
  });
}

void Connection::close_when_sent() {
  if (state_ == State::open) state_ = State::closing;
}

// The owner may be in the middle of something that uses the connection: it hears of it in a
// handler of its own.
void Connection::close_later(const std::string& why) {
  if (state_ == State::open) state_ = State::closing;
  empty(collected_);
  boost::asio::post(socket_.get_executor(), [self = shared_from_this(), why] { self->close(why); });
}

void Connection::close(const std::string& why) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  error_code ignored;  // it is gone for us either way
  socket_.close(ignored);
  callbacks_.closed(*this, why);
}

}  // namespace csnap
