// SPDX-License-Identifier: Apache-2.0
#include "server/daemon_receivers.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <sstream>

#include "test/daemon/temporary_folder.h"

namespace csnap {
namespace {

using namespace std::chrono_literals;

// Receivers of a shell script, the other ends of their sockets, and what the log says.
struct Fixture {
  TemporaryFolder folder;
  std::ostringstream log;
  std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  boost::asio::io_context io;
  std::unique_ptr<Receivers> receivers;
  std::vector<int> peers;

  Fixture() {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_st>(log)));
  }
  ~Fixture() {
    receivers->stop();
    for (const int peer : peers) ::close(peer);
    until([&] { return receivers->running() == 0; });
    spdlog::set_default_logger(before);
  }
  std::string script(const std::string& text) {
    const std::string path = folder.path() + "/receiver";
    std::ofstream(path) << "#!/bin/sh\n" << text << '\n';
    ::chmod(path.c_str(), 0755);
    return path;
  }
  void begin(const std::string& program) {
    receivers = std::make_unique<Receivers>(io, program);
    Address address;
    address.kind = Address::Kind::unix_socket;
    address.path = "/the/socket";
    receivers->set_addresses({address});
  }
  // The far end of the stream, which blocks.
  int start(bool force = false, bool replica = false) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    receivers->start(ends[0], {force, replica, "tester"}, "there");
    return peers.emplace_back(ends[1]);
  }
  template <class Condition>
  void until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      io.restart();
      io.run_one_for(10ms);
    }
    CHECK(condition());
  }
  static void put(int peer, const std::string& text) {
    REQUIRE(::write(peer, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::shutdown(peer, SHUT_WR);
  }
  static std::string take_all(int peer) {
    std::string all, piece(4096, '\0');
    for (ssize_t n; (n = ::read(peer, piece.data(), piece.size())) > 0;)
      all.append(piece, 0, static_cast<std::size_t>(n));
    return all;
  }
  bool logged(const std::string& text) const { return log.str().find(text) != std::string::npos; }
};

Address tcp(const std::string& host, std::uint16_t port) {
  Address address;
  address.host = host;
  address.port = port;
  return address;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "A receiver has the connection as its input and output, and its words") {
  begin(script("echo \"$@\"; cat"));
  const int peer = start(true, true);
  put(peer, "the stream");
  CHECK(take_all(peer) == "--server unix:/the/socket --json receive --force --replica\nthe stream");
  until([&] { return receivers->running() == 0; });
  CHECK(logged("the stream of tester from there is taken by pid "));
  CHECK_FALSE(logged("warning"));
}

TEST_CASE_METHOD(Fixture, "A receiver inherits no other descriptor and no blocked signal") {
  const int leaking = ::open("/dev/null", O_RDONLY);  // not close-on-exec
  const int high = ::fcntl(leaking, F_DUPFD, 500);
  sigset_t blocked, old;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, &old);
  const auto pipe_before = ::signal(SIGPIPE, SIG_IGN);
  // The shell itself says what it has; another program would have what the shell gives it.
  begin(
      script("while read name value; do echo $name $value; done </proc/$$/status\n"
             "echo files; ls /proc/$$/fd"));
  const std::string said = take_all(start());
  ::sigprocmask(SIG_SETMASK, &old, nullptr);
  ::signal(SIGPIPE, pipe_before);
  ::close(leaking);
  ::close(high);
  INFO(said);
  // The shell's own is 10, where it keeps the script.
  CHECK(said.ends_with("files\n0\n1\n10\n2\n"));
  CHECK(said.find("SigBlk: 0000000000000000") != std::string::npos);
  const auto ignored = said.find("SigIgn: ");
  REQUIRE(ignored != std::string::npos);
  CHECK((std::stoull(said.substr(ignored + 8), nullptr, 16) >> (SIGPIPE - 1) & 1) == 0);
}

TEST_CASE_METHOD(Fixture, "How a receiver failed is in the log") {
  begin(script("read how; eval \"$how\""));
  put(start(), "exit 3\n");
  until([&] { return receivers->running() == 0; });
  CHECK(logged("which took the stream of tester from there, failed with exit code 3"));
  put(start(), "kill -9 $$\n");
  until([&] { return receivers->running() == 0; });
  CHECK(logged("was ended by signal 9"));
}

TEST_CASE_METHOD(Fixture, "No more receivers run at once than may") {
  begin(script("cat"));
  for (std::size_t i = 0; i < Receivers::kMost; ++i) {
    CHECK(receivers->room(0).ok());
    CHECK(receivers->room(Receivers::kMost - i).code() == Code::busy);
    start();
  }
  CHECK(receivers->room(0).code() == Code::busy);
  ::shutdown(peers[0], SHUT_WR);
  until([&] { return receivers->running() < Receivers::kMost; });
  CHECK(receivers->room(0).ok());
}

TEST_CASE_METHOD(Fixture, "A receiver that cannot be started closes the connection") {
  begin(folder.path() + "/nothing");
  CHECK(receivers->room(0).ok());
  CHECK(take_all(start()).empty());
  CHECK(receivers->running() == 0);
  CHECK(logged("is not taken"));
  CHECK(logged("/nothing: cannot be started: No such file or directory"));
}

TEST_CASE_METHOD(Fixture, "Without a program no stream is taken") {
  begin("");
  CHECK(receivers->room(0).code() == Code::unsupported);
}

TEST_CASE_METHOD(Fixture, "At the end receivers are asked to end, and no other one is started") {
  begin(script("trap 'echo asked; exit 1' TERM; echo ready; while :; do read x; done"));
  const int peer = start();
  std::string ready(6, '\0');
  REQUIRE(::read(peer, ready.data(), 6) == 6);
  receivers->stop();
  CHECK(take_all(peer) == "asked\n");
  until([&] { return receivers->running() == 0; });
  CHECK(receivers->room(0).code() == Code::unavailable);
  CHECK(take_all(start()).empty());
  CHECK(receivers->running() == 0);
}

TEST_CASE("Receivers are told the nearest of a server's addresses") {
  Address unix_socket;
  unix_socket.kind = Address::Kind::unix_socket;
  unix_socket.path = "/run/x";
  CHECK(local_address({tcp("0.0.0.0", 1), unix_socket}) == unix_socket);
  CHECK(local_address({tcp("0.0.0.0", 1)}) == tcp("127.0.0.1", 1));
  CHECK(local_address({tcp("::", 1)}) == tcp("::1", 1));
  CHECK(local_address({tcp("192.0.2.7", 1), tcp("127.0.0.1", 2)}) == tcp("127.0.0.1", 2));
  CHECK(local_address({tcp("192.0.2.7", 1)}) == tcp("192.0.2.7", 1));
}

}  // namespace csnap
