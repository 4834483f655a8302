// SPDX-License-Identifier: Apache-2.0
#include "server/daemon_listener.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

namespace csnap {
namespace {

using boost::asio::ip::tcp;
using LocalEndpoint = boost::asio::local::stream_protocol::endpoint;
using boost::system::error_code;

constexpr auto kPauseWhenExhausted = std::chrono::milliseconds(100);

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status cannot_listen(const Address& address, const std::string& cause) {
  return Status(Code::unavailable, "cannot listen on " + address.to_string() + ": " + cause);
}

// Whether a server answers at the socket file; errno of the attempt in `error`.
bool somebody_listens(const std::string& path, int& error) {
  FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), std::min(path.size(), sizeof(name.sun_path) - 1));
  error = 0;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0) return true;
  error = errno;
  return error == EAGAIN || error == EINPROGRESS;  // its queue is full: it is there
}

std::string peer_name(const tcp::endpoint& endpoint) {
  Address address;
  address.kind = Address::Kind::tcp;
  address.host = endpoint.address().to_string();
  address.port = endpoint.port();
  return address.to_string();
}

bool is_loopback(const boost::asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6())
        .is_loopback();
  }
  return address.is_loopback();
}

}  // namespace

Listener::Listener(boost::asio::io_context& io, Address address, Accepted accepted)
    : io_(io), address_(std::move(address)), accepted_(std::move(accepted)) {}

Listener::~Listener() {
  close();
}

Result<std::unique_ptr<Listener>> Listener::open(boost::asio::io_context& io,
                                                 const Address& address, Accepted accepted) {
  std::unique_ptr<Listener> listener(new Listener(io, address, std::move(accepted)));
  CSNAP_TRY(address.kind == Address::Kind::unix_socket ? listener->open_unix()
                                                       : listener->open_tcp());
  for (auto& entry : listener->entries_) listener->accept(*entry);
  return listener;
}

Status Listener::open_unix() {
  const std::string& path = address_.path;
  if (path.size() >= sizeof(sockaddr_un{}.sun_path)) {
    return Status(Code::invalid, "the path of a Unix socket has at most " +
                                     std::to_string(sizeof(sockaddr_un{}.sun_path) - 1) +
                                     " bytes; this one is longer: " + path);
  }
  const auto folder = std::filesystem::absolute(path).parent_path();
  std::error_code made;
  std::filesystem::create_directory(folder, made);
  // Two servers that start at once take turns here: each sees the other's socket, or none.
  FileDescriptor lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.get() < 0) return cannot_listen(address_, folder.string() + ": " + strerror(errno));
  if (::flock(lock.get(), LOCK_EX) != 0) return cannot_listen(address_, strerror(errno));

  struct stat there {};
  if (::lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) {
      return Status(Code::exists, "cannot listen on " + address_.to_string() +
                                      ": there is something that is not a socket");
    }
    int error = 0;
    if (somebody_listens(path, error)) {
      return Status(Code::busy, "cannot listen on " + address_.to_string() +
                                    ": another server does; stop it, or give this one a place "
                                    "of its own with --listen");
    }
    if (error != ECONNREFUSED) return cannot_listen(address_, strerror(error));
    spdlog::info("replacing {}, which a server left behind", path);
    if (::unlink(path.c_str()) != 0) return cannot_listen(address_, strerror(errno));
  }
  return bind_unix();
}

Status Listener::bind_unix() {
  auto& acceptor = entries_.emplace_back(std::make_unique<Entry>(io_))->acceptor;
  error_code failed;
  acceptor.open(Protocol(AF_UNIX, 0), failed);
  if (failed) return cannot_listen(address_, failed.message());
  // The mode is right from the first moment on, not only after a chmod.
  const mode_t before = ::umask(0117);
  acceptor.bind(Protocol::endpoint(LocalEndpoint(address_.path)), failed);
  ::umask(before);
  if (failed) return cannot_listen(address_, failed.message());
  struct stat made {};
  if (::lstat(address_.path.c_str(), &made) == 0) {
    owns_path_ = true;
    path_device_ = made.st_dev;
    path_inode_ = made.st_ino;
  }
  acceptor.listen(Acceptor::max_listen_connections, failed);
  if (failed) return cannot_listen(address_, failed.message());
  return {};
}

Status Listener::open_tcp() {
  tcp::resolver resolver(io_);
  error_code failed;
  const auto found =
      resolver.resolve(address_.host, std::to_string(address_.port),
                       tcp::resolver::passive | tcp::resolver::numeric_service, failed);
  if (failed) return cannot_listen(address_, failed.message());
  for (const auto& result : found) {
    tcp::endpoint endpoint = result.endpoint();
    if (address_.port != 0) endpoint.port(address_.port);  // chosen by the first, same for the rest
    auto& acceptor = entries_.emplace_back(std::make_unique<Entry>(io_))->acceptor;
    acceptor.open(Protocol(endpoint.protocol().family(), endpoint.protocol().protocol()), failed);
    if (!failed) acceptor.set_option(Acceptor::reuse_address(true), failed);
    if (!failed && endpoint.address().is_v6()) {
      acceptor.set_option(boost::asio::ip::v6_only(true), failed);
    }
    if (!failed) acceptor.bind(Protocol::endpoint(endpoint), failed);
    if (!failed) acceptor.listen(Acceptor::max_listen_connections, failed);
    if (failed == boost::asio::error::address_in_use) {
      return Status(Code::busy, "cannot listen on " + address_.to_string() +
                                    ": the port is taken; stop whoever has it, or give this "
                                    "server a place of its own with --listen");
    }
    if (failed) return cannot_listen(address_, failed.message());
    if (address_.port == 0) {
      sockaddr_storage name{};
      socklen_t length = sizeof(name);
      ::getsockname(acceptor.native_handle(), reinterpret_cast<sockaddr*>(&name), &length);
      endpoint.resize(length);
      std::memcpy(endpoint.data(), &name, length);
      address_.port = endpoint.port();
    }
  }
  return {};
}

void Listener::close() {
  error_code ignored;  // closing a listening socket has no failure that matters
  for (auto& entry : entries_) {
    entry->pause.cancel();
    entry->acceptor.close(ignored);
  }
  if (!owns_path_) return;
  owns_path_ = false;
  struct stat there {};
  if (::lstat(address_.path.c_str(), &there) == 0 && there.st_dev == path_device_ &&
      there.st_ino == path_inode_) {
    ::unlink(address_.path.c_str());
  }
}

void Listener::accept(Entry& entry) {
  entry.acceptor.async_accept([this, &entry](error_code failed, StreamSocket socket) {
    if (failed == boost::asio::error::operation_aborted) return;
    if (!failed) {
      accepted(std::move(socket));
      accept(entry);
      return;
    }
    // A connection that ended before it was taken, or no descriptors left: neither is for ever.
    spdlog::warn("taking a connection on {}: {}", address_.to_string(), failed.message());
    entry.pause.expires_after(kPauseWhenExhausted);
    entry.pause.async_wait([this, &entry](error_code stopped) {
      if (!stopped) accept(entry);
    });
  });
}

void Listener::accepted(StreamSocket socket) {
  Peer peer;
  if (address_.kind == Address::Kind::unix_socket) {
    peer = {address_.to_string(), true, {}};
  } else {
    sockaddr_storage name{};
    socklen_t length = sizeof(name);
    tcp::endpoint endpoint;
    if (::getpeername(socket.native_handle(), reinterpret_cast<sockaddr*>(&name), &length) != 0) {
      return;  // gone again
    }
    endpoint.resize(length);
    std::memcpy(endpoint.data(), &name, length);
    peer = {peer_name(endpoint), is_loopback(endpoint.address()), endpoint.address().to_string()};
    error_code ignored;  // without it everything works, a little later
    socket.set_option(tcp::no_delay(true), ignored);
  }
  accepted_(std::move(socket), std::move(peer));
}

}  // namespace csnap
