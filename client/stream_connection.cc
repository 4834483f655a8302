// SPDX-License-Identifier: Apache-2.0
#include "client/stream_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "client/call_channel.h"
#include "client/names.h"
#include "proto/address_socket.h"
#include "proto/convert.h"
#include "store/errno_status.h"

namespace csnap {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kConnectPatience{5000};
// How often it is looked whether the peer is there still.
constexpr milliseconds kLook{2000};
constexpr std::size_t kMaxReply = 1u << 20;

wire::Hello hello_of(const StreamOptions& options) {
  wire::Hello hello;
  hello.set_role(wire::ROLE_STREAM);
  hello.set_client_name(options.client_name.empty() ? own_client_name() : options.client_name);
  if (options.store) hello.set_store(uuid_to_proto(*options.store));
  hello.mutable_stream()->set_force(options.force);
  hello.mutable_stream()->set_replica(options.replica);
  return hello;
}

}  // namespace

Result<std::unique_ptr<StreamConnection>> StreamConnection::open(const StreamOptions& options) {
  CSNAP_ASSIGN(auto addresses, addresses_or_default(options.addresses));
  CallChannel channel(std::move(addresses), hello_of(options));
  CSNAP_TRY(channel.connect(kConnectPatience));
  Link::Released raw = channel.take_connection();
  notice_vanished_peer(raw.socket);
  return std::unique_ptr<StreamConnection>(
      new StreamConnection(raw.socket, raw.address.to_string(), std::move(raw.rest)));
}

StreamConnection::~StreamConnection() {
  ::close(socket_);
}

Status StreamConnection::lost(const std::string& why) const {
  return Status(Code::unavailable, "lost the connection to " + server_ + ": " + why);
}

Result<short> StreamConnection::wait_for(short events, milliseconds patience) const {
  const auto deadline = steady_clock::now() + patience;
  for (;;) {
    pollfd ready{socket_, events, 0};
    const int count = ::poll(&ready, 1, static_cast<int>(kLook.count()));
    if (count < 0 && errno != EINTR) return errno_status(errno, "waiting for " + server_);
    if (count > 0) return ready.revents;
    if (peer_is_silent(socket_)) return lost("it does not answer any more");
    if (patience.count() > 0 && steady_clock::now() >= deadline)
      return Status(Code::unavailable, server_ + " does not answer");
  }
}

Status StreamConnection::write(std::span<const std::byte> bytes) {
  const Status over(Code::cancelled, server_ + ": the receiver ended before the stream did");
  if (!reply_.empty()) return over;
  while (!bytes.empty()) {
    CSNAP_ASSIGN(const short ready, wait_for(POLLIN | POLLOUT, {}));
    // Nothing is said before the end, or there is nobody any more.
    if ((ready & ~POLLOUT) != 0) return over;
    const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return over;
    if (n < 0) return lost(errno_text(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status StreamConnection::finish_sending() {
  if (::shutdown(socket_, SHUT_WR) == 0 || errno == ENOTCONN) return {};
  return lost(errno_text(errno));
}

Result<std::string> StreamConnection::read_reply(milliseconds patience) {
  std::array<char, 4096> buffer{};
  for (;;) {
    CSNAP_ASSIGN([[maybe_unused]] const short ready, wait_for(POLLIN, patience));
    const ssize_t n = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    // Reset: it ended before it had read all that was sent.
    if (n < 0 && errno != ECONNRESET && reply_.empty()) return lost(errno_text(errno));
    if (n <= 0) break;
    if (reply_.size() + static_cast<std::size_t>(n) > kMaxReply)
      return Status(Code::corrupt, server_ + " says more than a receiver has to say");
    reply_.append(buffer.data(), static_cast<std::size_t>(n));
  }
  if (!reply_.empty()) return reply_;
  return Status(Code::unavailable,
                server_ + ": the receiver ended without a word; the log of the server says why");
}

}  // namespace csnap
