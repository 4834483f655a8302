// SPDX-License-Identifier: Apache-2.0
#include "proto/frame.h"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "proto/text.h"
#include "store/endian.h"

namespace csnap {
namespace {

struct WireHeader {
  Le32 body_length;
  Le16 type;
  Le16 flags;
  Le64 request_id;
};
static_assert(sizeof(WireHeader) == kFrameHeaderSize);

constexpr std::size_t kMaxErrorText = 4096;  // bytes

constexpr struct {
  Code code;
  wire::ErrorCode wire;
} kCodes[] = {
    {Code::invalid, wire::ERROR_INVALID},     {Code::out_of_range, wire::ERROR_OUT_OF_RANGE},
    {Code::not_found, wire::ERROR_NOT_FOUND}, {Code::exists, wire::ERROR_EXISTS},
    {Code::busy, wire::ERROR_BUSY},           {Code::stale, wire::ERROR_STALE},
    {Code::no_space, wire::ERROR_NO_SPACE},   {Code::corrupt, wire::ERROR_CORRUPT},
    {Code::io_error, wire::ERROR_IO},         {Code::unsupported, wire::ERROR_UNSUPPORTED},
    {Code::denied, wire::ERROR_DENIED},       {Code::unavailable, wire::ERROR_UNAVAILABLE},
    {Code::cancelled, wire::ERROR_CANCELLED}, {Code::internal, wire::ERROR_INTERNAL},
    {Code::lost, wire::ERROR_LOST},
};

}  // namespace

void encode_header(const FrameHeader& header, std::span<std::byte, kFrameHeaderSize> out) {
  auto& wire_header = view_as<WireHeader>(std::span<std::byte>(out));
  wire_header.body_length.set(header.body_length);
  wire_header.type.set(header.type);
  wire_header.flags.set(header.flags);
  wire_header.request_id.set(header.request_id);
}

Result<FrameHeader> decode_header(std::span<const std::byte, kFrameHeaderSize> bytes) {
  const auto& wire_header = view_as<WireHeader>(std::span<const std::byte>(bytes));
  FrameHeader header;
  header.body_length = wire_header.body_length.get();
  header.type = wire_header.type.get();
  header.flags = wire_header.flags.get();
  header.request_id = wire_header.request_id.get();
  if (header.body_length > kMaxBody)
    return Status(Code::corrupt, "a frame claims a body of " + std::to_string(header.body_length) +
                                     " bytes; the limit is " + std::to_string(kMaxBody));
  if ((header.flags & ~frame_flags::kKnown) != 0)
    return Status(Code::corrupt, "a frame has unknown flags " + std::to_string(header.flags));
  if (header.error() && !header.reply())
    return Status(Code::corrupt, "a frame is marked as an error but not as a reply");
  if (header.push() && header.reply())
    return Status(Code::corrupt, "a frame is marked as a push and as a reply");
  return header;
}

std::span<std::byte> FrameReader::prepare(std::size_t room) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (buffer_.size() - end_ < room && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < room) buffer_.resize(end_ + room);
  return std::span(buffer_).subspan(end_);
}

void FrameReader::commit(std::size_t bytes) {
  assert(bytes <= buffer_.size() - end_);
  end_ += bytes;
}

void FrameReader::feed(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  std::memcpy(prepare(bytes.size()).data(), bytes.data(), bytes.size());
  commit(bytes.size());
}

Result<std::optional<Frame>> FrameReader::next() {
  if (!broken_.ok()) return broken_;
  if (end_ - begin_ < kFrameHeaderSize) return std::optional<Frame>();
  const auto there = std::span<const std::byte>(buffer_).subspan(begin_, end_ - begin_);
  auto header = decode_header(there.first<kFrameHeaderSize>());
  if (!header.ok()) {
    broken_ = header.status();
    return broken_;
  }
  const std::size_t whole = kFrameHeaderSize + header->body_length;
  if (there.size() < whole) return std::optional<Frame>();
  begin_ += whole;
  return std::optional<Frame>(Frame{*header, there.subspan(kFrameHeaderSize, header->body_length)});
}

void append_frame(OutputBuffer& out, FrameHeader header,
                  const google::protobuf::MessageLite& body) {
  const std::size_t length = body.ByteSizeLong();
  assert(length <= kMaxBody);
  header.body_length = static_cast<std::uint32_t>(length);
  const std::size_t at = out.size();
  out.resize(at + kFrameHeaderSize + length);
  encode_header(header, std::span(out).subspan(at).first<kFrameHeaderSize>());
  // The sizes that ByteSizeLong() left in the message are used, not computed again.
  body.SerializeWithCachedSizesToArray(
      reinterpret_cast<std::uint8_t*>(out.data() + at + kFrameHeaderSize));
}

void append_frame(OutputBuffer& out, wire::MessageType type, std::uint16_t flags,
                  std::uint64_t request_id, const google::protobuf::MessageLite& body) {
  FrameHeader header;
  header.type = static_cast<std::uint16_t>(type);
  header.flags = flags;
  header.request_id = request_id;
  append_frame(out, header, body);
}

void append_empty_frame(OutputBuffer& out, wire::MessageType type, std::uint16_t flags,
                        std::uint64_t request_id) {
  FrameHeader header;
  header.type = static_cast<std::uint16_t>(type);
  header.flags = flags;
  header.request_id = request_id;
  const std::size_t at = out.size();
  out.resize(at + kFrameHeaderSize);
  encode_header(header, std::span(out).subspan(at).first<kFrameHeaderSize>());
}

void append_error(OutputBuffer& out, std::uint64_t request_id, const Status& status, bool closing,
                  std::uint32_t retry_after_ms) {
  wire::Error error;
  error.set_code(to_wire(status.code()));
  error.set_message(clean_utf8(status.message(), kMaxErrorText));
  error.set_closing(closing);
  error.set_retry_after_ms(retry_after_ms);
  append_frame(out, wire::MESSAGE_ERROR, frame_flags::kReply | frame_flags::kError, request_id,
               error);
}

Status parse_body(const Frame& frame, google::protobuf::MessageLite& out) {
  // The library would print a line to stderr for each string that is not UTF-8: anybody who can
  // connect could fill the log.
  static const bool quiet = (google::protobuf::SetLogHandler(nullptr), true);
  static_cast<void>(quiet);
  if (out.ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()))) return {};
  return {Code::corrupt, "the body of a " + message_name(frame.header.type) +
                             " frame is not the message it should be"};
}

wire::ErrorCode to_wire(Code code) {
  const auto* found = std::ranges::find(kCodes, code, [](const auto& pair) { return pair.code; });
  return found == std::end(kCodes) ? wire::ERROR_INTERNAL : found->wire;
}

Code from_wire(wire::ErrorCode code) {
  const auto* found = std::ranges::find(kCodes, code, [](const auto& pair) { return pair.wire; });
  return found == std::end(kCodes) ? Code::internal : found->code;
}

Status status_of(const wire::Error& error) {
  return {from_wire(error.code()), error.message()};
}

std::string message_name(std::uint16_t type) {
  constexpr std::string_view kPrefix = "MESSAGE_";
  const auto& name = wire::MessageType_Name(static_cast<wire::MessageType>(type));
  if (type == wire::MESSAGE_NONE || name.size() <= kPrefix.size())
    return "type " + std::to_string(type);
  return name.substr(kPrefix.size());
}

}  // namespace csnap
