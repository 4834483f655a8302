// SPDX-License-Identifier: Apache-2.0
#include "proto/frame.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

namespace csnap {
namespace {

std::span<const std::byte> bytes_of(const std::vector<std::byte>& v) {
  return v;
}

OutputBuffer raw_header(std::uint32_t length, std::uint16_t type, std::uint16_t flags,
                        std::uint64_t id) {
  OutputBuffer out(kFrameHeaderSize);
  const FrameHeader header{length, type, flags, id};
  encode_header(header, std::span(out).first<kFrameHeaderSize>());
  return out;
}

wire::UniqueRequest request_with(std::size_t ranges) {
  wire::UniqueRequest request;
  for (std::size_t i = 0; i < ranges; ++i) {
    auto* range = request.add_ranges();
    range->set_start(i * 1000);
    range->set_count(i + 1);
  }
  return request;
}

TEST_CASE("A frame header is laid out as the protocol says") {
  const OutputBuffer bytes = raw_header(0x01020304 & 0xFFFF, 0x0506, 1, 0x1112131415161718);
  const std::uint8_t expected[] = {0x04, 0x03, 0,    0,    0x06, 0x05, 1,    0,
                                   0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11};
  REQUIRE(bytes.size() == sizeof(expected));
  CHECK(std::memcmp(bytes.data(), expected, sizeof(expected)) == 0);
}

TEST_CASE("A header decodes to what was encoded") {
  const FrameHeader header{77, wire::MESSAGE_UNIQUE, frame_flags::kReply, 0xFFFFFFFFFFFFFFFF};
  OutputBuffer bytes(kFrameHeaderSize);
  encode_header(header, std::span(bytes).first<kFrameHeaderSize>());
  const auto decoded = decode_header(bytes_of(bytes).first<kFrameHeaderSize>());
  REQUIRE(decoded.ok());
  CHECK(*decoded == header);
}

TEST_CASE("A body of one MiB is taken and one byte more is refused") {
  const auto at_limit = raw_header(1 << 20, 2, 0, 1);
  CHECK(decode_header(bytes_of(at_limit).first<kFrameHeaderSize>()).ok());
  const auto beyond = raw_header((1 << 20) + 1, 2, 0, 1);
  CHECK(decode_header(bytes_of(beyond).first<kFrameHeaderSize>()).status().code() == Code::corrupt);
}

TEST_CASE("Flags that nobody knows and flags that contradict each other are refused") {
  for (unsigned flags = 0; flags < 65536; ++flags) {
    const auto bytes = raw_header(0, 2, static_cast<std::uint16_t>(flags), 1);
    const bool good = flags == 0 || flags == 1 || flags == 3 || flags == 4;
    REQUIRE(decode_header(bytes_of(bytes).first<kFrameHeaderSize>()).ok() == good);
  }
}

TEST_CASE("A reader gives nothing before a frame is whole") {
  OutputBuffer out;
  append_frame(out, wire::MESSAGE_UNIQUE, 0, 5, request_with(3));
  FrameReader reader;
  for (std::size_t i = 0; i + 1 < out.size(); ++i) {
    reader.feed(bytes_of(out).subspan(i, 1));
    const auto frame = reader.next();
    REQUIRE(frame.ok());
    REQUIRE(!frame->has_value());
  }
  reader.feed(bytes_of(out).last(1));
  const auto frame = reader.next();
  REQUIRE(frame.ok());
  REQUIRE(frame->has_value());
  wire::UniqueRequest request;
  REQUIRE(parse_body(**frame, request).ok());
  CHECK(request.ranges_size() == 3);
  CHECK(reader.buffered() == 0);
}

TEST_CASE("A stream cut anywhere gives the frames that were put in") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  OutputBuffer stream;
  std::vector<std::size_t> sizes;
  for (std::uint64_t id = 0; id < 400; ++id) {
    const std::size_t ranges = random() % 50 == 0 ? random() % 60000 : random() % 8;
    append_frame(stream, wire::MESSAGE_UNIQUE, 0, id, request_with(ranges));
    sizes.push_back(ranges);
  }
  FrameReader reader;
  std::uint64_t next_id = 0;
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t limit = random() % 3 == 0 ? 20 : 100000;
    const std::size_t piece = std::min<std::size_t>(random() % limit + 1, stream.size() - at);
    if (random() % 2 == 0) {
      reader.feed(bytes_of(stream).subspan(at, piece));
    } else {
      std::memcpy(reader.prepare(piece).data(), stream.data() + at, piece);
      reader.commit(piece);
    }
    at += piece;
    for (;;) {
      const auto frame = reader.next();
      REQUIRE(frame.ok());
      if (!frame->has_value()) break;
      REQUIRE((*frame)->header.request_id == next_id);
      wire::UniqueRequest request;
      REQUIRE(parse_body(**frame, request).ok());
      REQUIRE(static_cast<std::size_t>(request.ranges_size()) == sizes[next_id]);
      ++next_id;
    }
  }
  CHECK(next_id == sizes.size());
  CHECK(reader.buffered() == 0);
}

TEST_CASE("A stream that became unreadable stays so") {
  FrameReader reader;
  reader.feed(raw_header(kMaxBody + 1, 2, 0, 1));
  CHECK(reader.next().status().code() == Code::corrupt);
  OutputBuffer good;
  append_frame(good, wire::MESSAGE_HEARTBEAT, 0, 1, wire::Heartbeat());
  reader.feed(good);
  CHECK(reader.next().status().code() == Code::corrupt);
}

TEST_CASE("Random bytes are frames or a failure, and never read beyond what came") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    FrameReader reader;
    std::vector<std::byte> garbage(random() % 200);
    for (auto& b : garbage) b = static_cast<std::byte>(random() % (round % 2 == 0 ? 256 : 3));
    reader.feed(garbage);
    for (;;) {
      const auto frame = reader.next();
      if (!frame.ok() || !frame->has_value()) break;
      REQUIRE((*frame)->body.size() <= garbage.size());
      wire::Hello hello;
      static_cast<void>(parse_body(**frame, hello).ok());
    }
  }
}

TEST_CASE("A body that is not the message is corrupt and the error names the message") {
  OutputBuffer out = raw_header(3, wire::MESSAGE_UNIQUE, 0, 1);
  out.insert(out.end(), 3, std::byte{0xFF});
  FrameReader reader;
  reader.feed(out);
  const auto frame = reader.next();
  REQUIRE(frame.ok());
  wire::UniqueRequest request;
  const Status status = parse_body(**frame, request);
  CHECK(status.code() == Code::corrupt);
  CHECK(status.message().find("UNIQUE") != std::string::npos);
}

TEST_CASE("Every code that may leave the server survives the wire") {
  for (int i = static_cast<int>(Code::invalid); i <= static_cast<int>(Code::internal); ++i) {
    const auto code = static_cast<Code>(i);
    CHECK(from_wire(to_wire(code)) == code);
    CHECK(to_wire(code) != wire::ERROR_NONE);
  }
  CHECK(from_wire(static_cast<wire::ErrorCode>(999)) == Code::internal);
}

TEST_CASE("An error frame carries text that any peer can parse") {
  OutputBuffer out;
  append_error(out, 9,
               Status(Code::not_found, "no \xFF\xC3 such\nthing " + std::string(9000, 'x')));
  FrameReader reader;
  reader.feed(out);
  const auto frame = reader.next();
  REQUIRE(frame.ok());
  CHECK((*frame)->header.error());
  wire::Error error;
  REQUIRE(parse_body(**frame, error).ok());
  CHECK(error.message().starts_with("no ?? such?thing"));
  CHECK(error.message().size() <= 4096);
  CHECK(status_of(error).code() == Code::not_found);
}

TEST_CASE("Messages have names for logs") {
  CHECK(message_name(wire::MESSAGE_SNAPSHOT_READ) == "SNAPSHOT_READ");
  CHECK(message_name(0) == "type 0");
  CHECK(message_name(4711) == "type 4711");
}

TEST_CASE("The longest answer to the largest request fits a body") {
  wire::SnapshotReadReply read;
  wire::FinishWrite write;
  read.set_read_id(~0ULL);
  for (std::uint64_t i = 0; i < kMaxWireChunks; ++i) {
    auto* piece = read.add_pieces();
    piece->set_start((1ULL << 48) - 1);
    piece->set_count(kMaxWireChunks);
    piece->set_store_chunk((1ULL << 48) - 1);
    piece->set_exclusive(true);
    piece->set_rewritable(true);
    auto* run = write.add_runs();
    run->set_start((1ULL << 48) - 1);
    run->set_count(1);
    run->set_store_chunk((1ULL << 48) - 1);
    run->add_crcs(1);
  }
  CHECK(read.ByteSizeLong() <= kMaxBody);
  CHECK(write.ByteSizeLong() <= kMaxBody);
}

}  // namespace
}  // namespace csnap
