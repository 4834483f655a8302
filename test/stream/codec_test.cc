// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "test/stream/memory_target.h"
#include "tools/stream/stream_reader.h"
#include "tools/stream/stream_writer.h"

namespace csnap {
namespace {

using StreamBytes = std::vector<std::byte>;

constexpr StreamIdentity kMonday{Uuid{{1, 2, 3}}, 7};
constexpr StreamIdentity kTuesday{Uuid{{4, 5, 6}}, 8};

// Bit by bit, as the polynomial says.
std::uint32_t slow_crc(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0;
  for (const std::byte b : bytes) {
    crc ^= std::to_integer<std::uint32_t>(b);
    for (int i = 0; i < 8; ++i) crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
  }
  return crc;
}

StreamBytes some_bytes(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  StreamBytes bytes(count);
  for (auto& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

// A full stream of 12,000 bytes and a change to it.
StreamBytes small_chain() {
  StreamBytes out;
  StreamWriter writer(out);
  writer.header();
  writer.subvolume("monday", kMonday);
  writer.make_file("volume.img");
  writer.write("volume.img", 4096, some_bytes(100, 1));
  writer.truncate("volume.img", 12'000);
  writer.chmod("volume.img", 0600);
  writer.utimes("volume.img", 1'700'000'000'123'456'789);
  writer.end();
  writer.header();
  writer.snapshot("tuesday", kTuesday, kMonday);
  writer.write("volume.img", 11'900, some_bytes(100, 2));
  writer.end();
  return out;
}

// What came of it: snapshots, with their contents.
std::vector<StreamBytes> contents(const StreamBytes& stream, Status& status,
                                  std::size_t piece = SIZE_MAX) {
  MemoryTarget target(12'000);
  StreamApplier applier(target);
  status = apply_stream(stream, piece, applier);
  CHECK_FALSE(target.out_of_bounds);
  std::vector<StreamBytes> all;
  for (const auto& snapshot : target.snapshots) all.push_back(snapshot.content);
  return all;
}

}  // namespace

TEST_CASE("a command's checksum begins with zero and is not inverted") {
  const std::size_t length = GENERATE(0, 1, 3, 100, 4096);
  auto command = some_bytes(sizeof(CommandHeaderDisk) + length, 3);
  view_as<CommandHeaderDisk>(std::span(command)).crc.set(0x12345678);
  auto without = command;
  std::memset(without.data() + offsetof(CommandHeaderDisk, crc), 0, sizeof(Le32));
  CHECK(command_checksum(command) == slow_crc(without));
}

TEST_CASE("the bytes of an END and of a CHMOD are as the format says") {
  StreamBytes out;
  StreamWriter writer(out);
  writer.header();
  writer.chmod("f", 0600);
  writer.end();
  const unsigned char expected[] = {
      'b', 't', 'r', 'f', 's', '-', 's', 't', 'r', 'e',  'a', 'm', 0, 1, 0, 0, 0,
      17,  0,   0,   0,   18,  0,   0,   0,   0,   0,  // CHMOD, 17 bytes
      15,  0,   1,   0,   'f', 5,   0,   8,   0,   0x80, 1,   0,   0, 0, 0, 0, 0,  // PATH, MODE
      0,   0,   0,   0,   21,  0,   0,   0,   0,   0};                             // END
  REQUIRE(out.size() == sizeof expected);
  for (std::size_t i = 0; i < out.size(); ++i) {
    INFO("byte " << i);
    const bool checksum = (i >= 23 && i < 27) || i >= 50;
    if (!checksum) CHECK(std::to_integer<int>(out[i]) == expected[i]);
  }
}

TEST_CASE("what is written is read back, however it is cut") {
  const std::size_t piece = GENERATE(1, 7, 100, 100'000);
  Status status;
  const auto all = contents(small_chain(), status, piece);
  REQUIRE(status.ok());
  REQUIRE(all.size() == 2);
  StreamBytes monday(12'000);
  std::ranges::copy(some_bytes(100, 1), monday.begin() + 4096);
  CHECK(all[0] == monday);
  std::ranges::copy(some_bytes(100, 2), monday.begin() + 11'900);
  CHECK(all[1] == monday);
}

TEST_CASE("large streams go through the reader's buffer whole") {
  constexpr std::size_t kSize = 5u << 20;
  const auto data = some_bytes(kSize, 4);
  StreamBytes out;
  StreamWriter writer(out);
  writer.header();
  writer.subvolume("big", kMonday);
  writer.make_file("f");
  for (std::size_t at = 0; at < kSize; at += kWriteBytes)
    writer.write("f", at, std::span(data).subspan(at, std::min(kWriteBytes, kSize - at)));
  writer.end();
  MemoryTarget target(kSize);
  StreamApplier applier(target);
  REQUIRE(apply_stream(out, GENERATE(4096u, 65'537u, 1u << 20), applier).ok());
  CHECK(target.content == data);
}

TEST_CASE("a stream cut off anywhere never makes a snapshot too many, and never looks whole") {
  const auto whole = small_chain();
  Status status;
  const auto all = contents(whole, status);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    INFO(length << " bytes");
    const auto some = contents({whole.begin(), whole.begin() + static_cast<long>(length)}, status);
    const bool between = some.size() == 1 && status.ok();  // behind the first END
    CHECK((status.code() == Code::io_error || length == 0 || between));
    REQUIRE(some.size() < all.size());
    if (!some.empty()) CHECK(some[0] == all[0]);
  }
}

TEST_CASE("every flipped bit is noticed before it makes a snapshot") {
  const auto whole = small_chain();
  Status status;
  const auto all = contents(whole, status);
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    INFO("bit " << bit);
    auto flipped = whole;
    flipped[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    const auto some = contents(flipped, status);
    CHECK_FALSE(status.ok());
    REQUIRE(some.size() < all.size());
    if (!some.empty()) REQUIRE(some[0] == all[0]);
  }
}

TEST_CASE("another version, an impossible length and unknown things are refused") {
  StreamBytes out;
  StreamWriter writer(out);
  writer.header();
  writer.end();
  Code expected = Code::corrupt;
  auto& header = view_as<StreamHeaderDisk>(std::span(out));
  auto& end = view_as<CommandHeaderDisk>(std::span(out).subspan(sizeof header));
  const auto seal = [&] { end.crc.set(command_checksum(std::span(out).subspan(sizeof header))); };
  SECTION("version 2") {
    header.version.set(2);
    expected = Code::unsupported;
  }
  SECTION("no stream") {
    header.magic[0] = 'B';
  }
  SECTION("a command that is too long") {
    end.length.set(kMaxCommandBody + 1);
  }
  SECTION("a command that does not exist") {
    end.command.set(GENERATE(0, 23, 65'535));
    seal();
    expected = Code::unsupported;
  }
  SECTION("an attribute") {
    const auto add = [&](std::uint16_t type, std::uint16_t length, std::size_t bytes) {
      AttributeHeaderDisk attribute;
      attribute.type.set(type);
      attribute.length.set(length);
      const auto raw = std::as_bytes(std::span(&attribute, 1));
      out.insert(out.end(), raw.begin(), raw.end());
      out.resize(out.size() + bytes);
    };
    SECTION("that does not exist") {
      add(GENERATE(0, 25, 999), 0, 0);
    }
    SECTION("that is longer than its command") {
      add(15, 5, 4);
    }
    SECTION("that is there twice") {
      add(15, 1, 1);
      add(15, 1, 1);
    }
    SECTION("whose header is cut off") {
      add(15, 0, 0);
      out.resize(out.size() - 1);
    }
    auto& grown = view_as<CommandHeaderDisk>(std::span(out).subspan(sizeof header));
    grown.length.set(
        static_cast<std::uint32_t>(out.size() - sizeof header - sizeof(CommandHeaderDisk)));
    grown.crc.set(command_checksum(std::span(out).subspan(sizeof header)));
  }
  StreamReader reader;
  std::ranges::copy(out, reader.space().begin());
  reader.filled(out.size());
  const auto command = reader.next();
  REQUIRE_FALSE(command.ok());
  CHECK(command.status().code() == expected);
}

}  // namespace csnap
