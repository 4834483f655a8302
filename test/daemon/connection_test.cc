// SPDX-License-Identifier: Apache-2.0
#include "server/daemon_connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <deque>

namespace csnap {
namespace {

// A connection and the other end of its socket, which is non-blocking.
struct Fixture {
  boost::asio::io_context io;
  std::array<std::byte, 4096> buffer{};
  std::string received;
  std::string closed;
  std::deque<std::string> output;  // what take_output() gives, one after the other
  Connection::Callbacks callbacks;
  std::shared_ptr<Connection> connection;
  int peer = -1;
  int given_away = -1;

  Fixture() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    peer = ends[1];
    callbacks.buffer = buffer;
    callbacks.received = [this](Connection&, std::span<const std::byte> bytes) {
      received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    callbacks.take_output = [this](Connection&, std::vector<std::byte>& out) {
      if (output.empty()) return;
      out = bytes(output.front());
      output.pop_front();
    };
    callbacks.closed = [this](Connection&, const std::string& why) { closed += why + ";"; };
    callbacks.given_away = [this](Connection&, int socket) { given_away = socket; };
    StreamSocket socket(io, boost::asio::generic::stream_protocol(AF_UNIX, 0), ends[0]);
    connection = std::make_shared<Connection>(std::move(socket), Peer{"peer", true, {}}, callbacks);
    connection->start();
  }
  ~Fixture() {
    connection->close("end of test");
    if (peer >= 0) ::close(peer);
    if (given_away >= 0) ::close(given_away);
  }
  static std::vector<std::byte> bytes(const std::string& text) {
    const auto span = std::as_bytes(std::span(text.data(), text.size()));
    return {span.begin(), span.end()};
  }
  bool at_end() {
    char byte = 0;
    return ::read(peer, &byte, 1) == 0;
  }
  void hang_up() {
    ::close(peer);
    peer = -1;
    while (turn()) {
    }
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

TEST_CASE_METHOD(Fixture, "Output is taken at the flush, as often as there is some") {
  output = {"one ", "two"};
  CHECK(take().empty());
  connection->flush();
  CHECK(take() == "one two");
  CHECK(output.empty());
}

TEST_CASE_METHOD(Fixture, "What comes is handed on, also when it is more than the buffer") {
  const std::string text(10'000, 'x');
  put(text);
  while (turn() && received.size() < text.size()) {
  }
  CHECK(received == text);
}

TEST_CASE_METHOD(Fixture, "A slow reader gets everything in order, and nothing is fetched ahead") {
  std::string all;
  for (int i = 0; i < 300'000; ++i) all += std::to_string(i) + " ";
  output = {all, "the end"};
  connection->flush();
  CHECK(output.size() == 1);
  std::string got;
  while (got.size() < all.size() + 7) {
    got += take();
    turn();
  }
  CHECK(got == all + "the end");
}

TEST_CASE_METHOD(Fixture, "A paused connection reads on when it is resumed") {
  connection->pause_read();
  put("text");
  while (turn()) {
  }
  CHECK(received.empty());
  connection->resume_read();
  while (turn()) {
  }
  CHECK(received == "text");
}

TEST_CASE_METHOD(Fixture, "Closing with last words delivers what was taken before and the words") {
  const std::string before(1u << 20, 'b');
  output = {before, "never taken"};
  connection->flush();
  put("ignored");
  connection->close_with(bytes("goodbye"));
  std::string got;
  while (got.size() < before.size() + 7) {
    got += take();
    turn();
  }
  CHECK(got == before + "goodbye");
  CHECK(received.empty());
  // The end of the stream is there, and the connection waits for the peer to see it.
  CHECK(at_end());
  CHECK(closed.empty());
  hang_up();
  CHECK(closed == "the peer closed the connection;");
}

TEST_CASE_METHOD(Fixture, "A socket is given away when all is sent, with what nobody has read") {
  const std::string before(1u << 20, 'b');
  output = {before, "never taken"};
  connection->flush();
  put("for whoever has it next");
  connection->give_away(bytes("welcome"));
  CHECK(given_away < 0);
  std::string got;
  while (got.size() < before.size() + 7) {
    got += take();
    turn();
  }
  CHECK(got == before + "welcome");
  while (turn()) {
  }
  REQUIRE(given_away >= 0);
  CHECK(received.empty());
  connection->close("too late");
  CHECK(closed.empty());
  std::string rest(100, '\0');
  rest.resize(static_cast<std::size_t>(::read(given_away, rest.data(), rest.size())));
  CHECK(rest == "for whoever has it next");
  REQUIRE(::write(given_away, "x", 1) == 1);
  CHECK(take() == "x");
}

TEST_CASE_METHOD(Fixture, "A connection that is closed just before it is given away stays closed") {
  connection->give_away(bytes("welcome"));
  connection->close("the end");
  while (turn()) {
  }
  CHECK(given_away < 0);
  CHECK(closed == "the end;");
}

TEST_CASE_METHOD(Fixture, "A connection that is lost while it is given away is closed") {
  ::close(peer);
  peer = -1;
  connection->give_away(bytes("welcome"));
  while (turn()) {
  }
  CHECK(given_away < 0);
  CHECK(std::count(closed.begin(), closed.end(), ';') == 1);
}

TEST_CASE_METHOD(Fixture, "The owner is told once when the peer goes") {
  hang_up();
  connection->close("again");
  CHECK(closed == "the peer closed the connection;");
}

TEST_CASE_METHOD(Fixture, "A peer that goes while it is written to is told of by a handler") {
  ::close(peer);
  peer = -1;
  output = {"into the void"};
  connection->flush();
  CHECK(closed.empty());
  while (turn()) {
  }
  CHECK(std::count(closed.begin(), closed.end(), ';') == 1);
}

}  // namespace csnap
