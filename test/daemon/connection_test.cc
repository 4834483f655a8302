// SPDX-License-Identifier: Apache-2.0
#include "server/daemon_connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>

namespace csnap {
namespace {

// A connection and the other end of its socket, which is non-blocking.
struct Fixture {
  boost::asio::io_context io;
  std::array<std::byte, 4096> buffer{};
  std::string received;
  std::string closed;
  Connection::Callbacks callbacks;
  std::shared_ptr<Connection> connection;
  int peer = -1;

  Fixture() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    peer = ends[1];
    callbacks.buffer = buffer;
    callbacks.received = [this](Connection&, std::span<const std::byte> bytes) {
      received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    callbacks.closed = [this](Connection&, const std::string& why) { closed += why + ";"; };
    StreamSocket socket(io, boost::asio::generic::stream_protocol(AF_UNIX, 0), ends[0]);
    connection = std::make_shared<Connection>(std::move(socket), Peer{"peer", true}, callbacks);
    connection->start();
  }
  ~Fixture() {
    connection->close("end of test");
    if (peer >= 0) ::close(peer);
  }
  void send(const std::string& text) {
    connection->send(std::as_bytes(std::span(text.data(), text.size())));
  }
  // Whether something was there to do.
  bool turn() {
    io.restart();
    return io.poll() > 0;
  }
  // What the peer can read now.
  std::string take() {
    std::string all(1 << 16, '\0');
    const auto size = ::read(peer, all.data(), all.size());
    all.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return all;
  }
  void put(const std::string& text) {
    REQUIRE(::write(peer, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "What is sent in a turn goes out at the flush, not before") {
  send("one ");
  send("two");
  CHECK(take().empty());
  connection->flush();
  CHECK(take() == "one two");
  CHECK(connection->unsent() == 0);
}

TEST_CASE_METHOD(Fixture, "What comes is handed on, also when it is more than the buffer") {
  const std::string text(10'000, 'x');
  put(text);
  while (turn() && received.size() < text.size()) {
  }
  CHECK(received == text);
}

TEST_CASE_METHOD(Fixture, "A slow reader gets everything in order") {
  std::string all;
  for (int i = 0; i < 300'000; ++i) all += std::to_string(i) + " ";
  send(all);
  connection->flush();
  REQUIRE(connection->unsent() > 0);
  std::string got;
  while (got.size() < all.size()) {
    got += take();
    turn();
  }
  CHECK(got == all);
}

TEST_CASE_METHOD(Fixture, "A peer that takes no answers is not read from until it does") {
  const std::string answers(6u << 20, 'a');
  send(answers);
  connection->flush();
  put("first");
  while (turn()) {
  }
  // The wait that was under way when the answers piled up may still end; the next one does not
  // begin.
  put("second");
  while (turn()) {
  }
  CHECK(received == "first");
  for (std::size_t got = 0; got < answers.size(); turn()) got += take().size();
  while (received.size() < 11 && turn()) {
  }
  CHECK(received == "firstsecond");
}

TEST_CASE_METHOD(Fixture, "A peer that never takes what it is told is cut off") {
  const std::string piece(8u << 20, 'p');
  for (int i = 0; i < 20; ++i) send(piece);
  CHECK(closed.empty());
  while (turn()) {
  }
  CHECK(closed == "the peer does not take its answers;");
}

TEST_CASE_METHOD(Fixture, "Closing when sent delivers what was sent and reads no more") {
  send("goodbye");
  connection->close_when_sent();
  put("ignored");
  while (turn()) {
  }
  CHECK(closed.empty());
  connection->flush();
  while (turn()) {
  }
  CHECK(closed == "closed by the server;");
  CHECK(received.empty());
  CHECK(take() == "goodbye");
}

TEST_CASE_METHOD(Fixture, "The owner is told once when the peer goes") {
  ::close(peer);
  peer = -1;
  while (turn()) {
  }
  connection->close("again");
  CHECK(closed == "the peer closed the connection;");
  CHECK(connection->closed());
}

}  // namespace csnap
