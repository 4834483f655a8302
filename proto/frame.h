// SPDX-License-Identifier: Apache-2.0
// Frames: what the byte stream between csnapd and a client is cut into. A frame is a header of 16
// bytes, little-endian, and a body of at most kMaxBody bytes, one protobuf message:
//   u32 length of the body | u16 type (wire::MessageType) | u16 flags | u64 request id
//
// Threading: none of its own. Errors: corrupt for a stream that cannot be read on: a body that is
// too long, flags that nobody knows. What a frame's type and body mean is the business of others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proto/csnap.pb.h"
#include "store/status.h"

namespace csnap {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kFrameHeaderSize = 16;
inline constexpr std::size_t kMaxBody = 1u << 20;  // bytes
inline constexpr std::size_t kMaxFrame = kFrameHeaderSize + kMaxBody;
// Chunks that one request may name: so many that the longest answer (a piece a chunk) still fits a
// body.
inline constexpr std::uint64_t kMaxWireChunks = 32768;

namespace frame_flags {
inline constexpr std::uint16_t kReply = 1;  // the request id is that of the request answered
inline constexpr std::uint16_t kError = 2;  // with kReply: the body is an Error
inline constexpr std::uint16_t kPush = 4;   // by the server, unasked; ids are the server's own
inline constexpr std::uint16_t kKnown = kReply | kError | kPush;
}  // namespace frame_flags

struct FrameHeader {
  std::uint32_t body_length = 0;  // bytes
  std::uint16_t type = 0;         // a wire::MessageType, or one this build does not know
  std::uint16_t flags = 0;
  std::uint64_t request_id = 0;

  bool reply() const { return (flags & frame_flags::kReply) != 0; }
  bool error() const { return (flags & frame_flags::kError) != 0; }
  bool push() const { return (flags & frame_flags::kPush) != 0; }
  bool operator==(const FrameHeader&) const = default;
};

void encode_header(const FrameHeader& header, std::span<std::byte, kFrameHeaderSize> out);
// corrupt: see above.
Result<FrameHeader> decode_header(std::span<const std::byte, kFrameHeaderSize> bytes);

struct Frame {
  FrameHeader header;
  std::span<const std::byte> body;  // within the reader
};

// Cuts a stream into frames. Either read straight into prepare() and commit(), which copies
// nothing, or feed(). Takes memory for one frame and one read, no more, as long as next() is called
// until it has nothing before more is put in.
class FrameReader {
 public:
  // Room for at least `room` bytes behind what is there. Frames taken before are no longer valid.
  std::span<std::byte> prepare(std::size_t room = 64 * 1024);
  // So many bytes were put into what prepare() returned.
  void commit(std::size_t bytes);
  void feed(std::span<const std::byte> bytes);
  // The next whole frame; nothing while there is none; corrupt, from then on for ever, when the
  // stream is unreadable. A frame is valid until prepare() or feed().
  Result<std::optional<Frame>> next();
  // Bytes put in and not yet taken.
  std::size_t buffered() const { return end_ - begin_; }
  // These bytes; valid until prepare() or feed().
  std::span<const std::byte> rest() const { return std::span(buffer_).subspan(begin_, buffered()); }

 private:
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;  // of what has not been taken
  std::size_t end_ = 0;    // of what was put in
  Status broken_;
};

// Bytes waiting to be sent.
using OutputBuffer = std::vector<std::byte>;

// Appends a frame whose body is `body`, serialized in place. REQUIRES: it is at most kMaxBody long.
// header.body_length is filled in.
void append_frame(OutputBuffer& out, FrameHeader header, const google::protobuf::MessageLite& body);
void append_frame(OutputBuffer& out, wire::MessageType type, std::uint16_t flags,
                  std::uint64_t request_id, const google::protobuf::MessageLite& body);
// A frame whose body has no bytes: a message with nothing in it.
void append_empty_frame(OutputBuffer& out, wire::MessageType type, std::uint16_t flags,
                        std::uint64_t request_id);
// A frame with flags reply and error. Text that is not UTF-8 or too long is made so.
void append_error(OutputBuffer& out, std::uint64_t request_id, const Status& status,
                  bool closing = false, std::uint32_t retry_after_ms = 0);

// Parses a frame's body; corrupt, naming the message, when it is not one.
Status parse_body(const Frame& frame, google::protobuf::MessageLite& out);

// The two sets of codes. ok and need_block, which never leave the server, go out as internal;
// numbers that this build does not know come in as internal.
wire::ErrorCode to_wire(Code code);
Code from_wire(wire::ErrorCode code);
// The failure that an Error speaks of.
Status status_of(const wire::Error& error);

// "UNIQUE", or "type 77" for one this build does not know.
std::string message_name(std::uint16_t type);

}  // namespace csnap
