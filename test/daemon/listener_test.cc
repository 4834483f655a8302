// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "server/daemon_listener.h"
#include "test/daemon/temporary_folder.h"

namespace csnap {
namespace {

struct Fixture {
  TemporaryFolder folder;
  boost::asio::io_context io;
  std::vector<Peer> peers;
  std::vector<StreamSocket> sockets;

  Address unix_address(const std::string& name = "socket") const {
    Address address;
    address.kind = Address::Kind::unix_socket;
    address.path = folder.path() + "/" + name;
    return address;
  }
  Result<std::unique_ptr<Listener>> listen(const Address& address) {
    return Listener::open(io, address, [this](StreamSocket socket, Peer peer) {
      sockets.push_back(std::move(socket));
      peers.push_back(std::move(peer));
    });
  }
  // What a server leaves behind that was killed.
  void leave_socket_behind(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof(name.sun_path) - 1);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0);
    REQUIRE(::listen(fd, 1) == 0);
    ::close(fd);
  }
  StreamSocket connect(const StreamSocket::endpoint_type& endpoint) {
    StreamSocket client(io);
    client.connect(endpoint);
    return client;
  }
  void run_until_accepted() {
    while (peers.empty()) io.run_one();
  }
};

Address loopback(std::uint16_t port) {
  Address address;
  address.host = "127.0.0.1";
  address.port = port;
  return address;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "A Unix socket can be used by its owner and group, by nobody else") {
  auto listener = listen(unix_address());
  REQUIRE(listener.ok());
  struct stat made {};
  REQUIRE(::stat(unix_address().path.c_str(), &made) == 0);
  CHECK((made.st_mode & 07777) == 0660);
}

TEST_CASE_METHOD(Fixture, "The last directory of a Unix socket's path is made") {
  auto listener = listen(unix_address("new/socket"));
  REQUIRE(listener.ok());
  CHECK(std::filesystem::is_socket(unix_address("new/socket").path));
}

TEST_CASE_METHOD(Fixture, "A Unix socket that a dead server left behind is replaced") {
  leave_socket_behind(unix_address().path);
  auto listener = listen(unix_address());
  REQUIRE(listener.ok());
  auto client = connect(boost::asio::local::stream_protocol::endpoint(unix_address().path));
  run_until_accepted();
  CHECK(peers[0].local);
  CHECK(peers[0].host.empty());
}

TEST_CASE_METHOD(Fixture, "A Unix socket that somebody listens on is not taken away") {
  auto first = listen(unix_address());
  REQUIRE(first.ok());
  auto second = listen(unix_address());
  REQUIRE_FALSE(second.ok());
  CHECK(second.status().code() == Code::busy);
  CHECK(std::filesystem::exists(unix_address().path));
}

TEST_CASE_METHOD(Fixture, "A file that is no socket is left alone") {
  std::ofstream(unix_address().path) << "precious";
  auto listener = listen(unix_address());
  REQUIRE_FALSE(listener.ok());
  CHECK(listener.status().code() == Code::exists);
  CHECK(std::filesystem::file_size(unix_address().path) == 8);
}

TEST_CASE_METHOD(Fixture, "A path too long for a socket is refused, not cut") {
  auto listener = listen(unix_address(std::string(200, 'x')));
  REQUIRE_FALSE(listener.ok());
  CHECK(listener.status().code() == Code::invalid);
}

TEST_CASE_METHOD(Fixture, "Closing removes the socket's name") {
  auto listener = listen(unix_address());
  REQUIRE(listener.ok());
  (*listener)->close();
  CHECK_FALSE(std::filesystem::exists(unix_address().path));
}

TEST_CASE_METHOD(Fixture, "Closing leaves a name alone that is somebody else's by now") {
  auto listener = listen(unix_address());
  REQUIRE(listener.ok());
  std::filesystem::rename(unix_address().path, unix_address("moved").path);
  std::ofstream(unix_address().path) << "other";
  (*listener)->close();
  CHECK(std::filesystem::exists(unix_address().path));
}

TEST_CASE_METHOD(Fixture, "Port 0 becomes the port that was chosen, and loopback peers are local") {
  auto listener = listen(loopback(0));
  REQUIRE(listener.ok());
  const auto port = (*listener)->address().port;
  REQUIRE(port != 0);
  auto client =
      connect(boost::asio::ip::tcp::endpoint(boost::asio::ip::make_address("127.0.0.1"), port));
  run_until_accepted();
  CHECK(peers[0].local);
  CHECK(peers[0].name.substr(0, 10) == "127.0.0.1:");
  CHECK(peers[0].host == "127.0.0.1");
}

TEST_CASE_METHOD(Fixture, "A port that is taken is an error that names it") {
  auto first = listen(loopback(0));
  REQUIRE(first.ok());
  const auto address = (*first)->address();
  auto second = listen(address);
  REQUIRE_FALSE(second.ok());
  CHECK(second.status().code() == Code::busy);
  CHECK(second.status().message().find(address.to_string()) != std::string::npos);
}

}  // namespace csnap
