// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <random>

#include "test/store/temporary.h"
#include "tools/stream/byte_input.h"
#include "tools/stream/byte_output.h"

namespace csnap {
namespace {

struct OpenFile {
  int fd;
  explicit OpenFile(const std::string& path)
      : fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    REQUIRE(fd >= 0);
  }
  ~OpenFile() { ::close(fd); }
};

std::vector<std::byte> repeating_bytes(std::size_t count) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = i % 5 == 0 ? static_cast<std::byte>(random()) : std::byte{7};
  return bytes;
}

Result<std::vector<std::byte>> read_all(int fd, std::size_t piece) {
  REQUIRE(::lseek(fd, 0, SEEK_SET) == 0);
  ByteInput input(fd, "the file");
  std::vector<std::byte> all;
  for (;;) {
    all.resize(all.size() + piece);
    CSNAP_ASSIGN(const std::size_t n, input.read(std::span(all).last(piece)));
    all.resize(all.size() - piece + n);
    if (n == 0) return all;
  }
}

}  // namespace

TEST_CASE("bytes come in as they went out, compressed or not") {
  const bool compress = GENERATE(false, true);
  const std::size_t size = GENERATE(0, 1, 3, 4, 5, 300'000);
  const test::TemporaryDirectory folder;
  const OpenFile file(folder.path() + "/bytes");
  const auto bytes = repeating_bytes(size);
  ByteOutput output(file.fd, "the file", {compress, 0});
  for (std::size_t at = 0; at < size; at += 1000)
    REQUIRE(
        output.write(std::span(bytes).subspan(at, std::min<std::size_t>(1000, size - at))).ok());
  REQUIRE(output.finish().ok());
  CHECK(output.written() == static_cast<std::uint64_t>(::lseek(file.fd, 0, SEEK_END)));
  if (compress && size > 1000) CHECK(output.written() < size / 2);
  const auto back = read_all(file.fd, GENERATE(1'000, 1'000'000));
  REQUIRE(back.ok());
  CHECK(*back == bytes);
}

TEST_CASE("what was compressed and then damaged is refused") {
  const test::TemporaryDirectory folder;
  const OpenFile file(folder.path() + "/bytes");
  ByteOutput output(file.fd, "the file", {true, 0});
  REQUIRE(output.write(repeating_bytes(100'000)).ok());
  REQUIRE(output.finish().ok());
  const off_t at = static_cast<off_t>(output.written()) - GENERATE(1, 4, 100, 5'000);
  char byte = 0;
  REQUIRE(::pread(file.fd, &byte, 1, at) == 1);
  byte = static_cast<char>(byte ^ 16);
  REQUIRE(::pwrite(file.fd, &byte, 1, at) == 1);
  CHECK(read_all(file.fd, 1'000'000).status().code() == Code::corrupt);
}

TEST_CASE("a silence that is too long is the end of an input that has a limit for it") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  ByteInput input(ends[0], "the pipe", std::chrono::milliseconds(10));
  std::array<std::byte, 5> bytes{};
  REQUIRE(::write(ends[1], "12345", 5) == 5);
  CHECK(*input.read(bytes) == 4);
  CHECK(*input.read(bytes) == 1);
  const auto silent = input.read(bytes);
  CHECK(silent.status().code() == Code::io_error);
  CHECK(silent.status().message().find("nothing came") != std::string::npos);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("what is flushed has gone out, compressed or not") {
  const test::TemporaryDirectory folder;
  const OpenFile file(folder.path() + "/bytes");
  ByteOutput output(file.fd, "the file", {GENERATE(false, true), 0});
  const auto bytes = repeating_bytes(1000);
  REQUIRE(output.write(bytes).ok());
  REQUIRE(output.flush().ok());
  CHECK(*read_all(file.fd, 10'000) == bytes);
}

TEST_CASE("a pipe whose reader has gone is told as such") {
  int fds[2];
  REQUIRE(::pipe(fds) == 0);
  ::close(fds[0]);
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  ByteOutput output(fds[1], "the pipe", {});
  CHECK(output.write(repeating_bytes(10)).code() == Code::cancelled);
  std::signal(SIGPIPE, before);
  ::close(fds[1]);
}

TEST_CASE("a limit lets through no more than it says") {
  RateLimit limit(1'000'000);
  CHECK(limit.piece() == 50'000);
  const auto began = RateLimit::Clock::now();
  for (int i = 0; i < 4; ++i) limit.pass(50'000);
  CHECK(RateLimit::Clock::now() - began >= std::chrono::milliseconds(150));
  CHECK(RateLimit(0).piece() == SIZE_MAX);
}

}  // namespace csnap
