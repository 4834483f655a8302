// SPDX-License-Identifier: Apache-2.0
// Takes a send stream, version 1, apart: docs/format/stream.md. Every byte is taken for hostile;
// what comes out has the right checksum and lies within all limits, but may make no sense.
// Sans-IO: the caller puts bytes in as they come.
//
//   std::span<std::byte> room = reader.space();
//   reader.filled(read_some(room));
//   for (;;) { auto command = reader.next(); ... }
//
// Threading: one thread. Errors: corrupt; unsupported for a version or command not known.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/stream/identity.h"
#include "tools/stream/stream_format.h"

namespace csnap {

// For messages: "WRITE".
const char* command_name(CommandType type);

// A command whose attributes point into the reader's buffer.
class StreamCommand {
 public:
  CommandType type() const { return type_; }
  bool has(Attribute a) const { return attributes_[index(a)].data() != nullptr; }
  // corrupt when there is no such attribute, or not of this kind.
  Result<std::uint64_t> number(Attribute a) const;
  // A path below the subvolume: no "..", no empty part, no zero byte, not too long; "" is the root.
  Result<std::string> path(Attribute a) const;
  // A path of one part.
  Result<std::string> name(Attribute a) const;
  Result<std::span<const std::byte>> bytes(Attribute a) const;
  Result<StreamIdentity> identity(Attribute uuid, Attribute ctransid) const;

 private:
  friend class StreamReader;
  static std::size_t index(Attribute a) { return static_cast<std::size_t>(a); }
  Status bad(Attribute a, const std::string& what) const;

  CommandType type_ = CommandType::end;
  std::array<std::span<const std::byte>, kLastAttribute + 1> attributes_{};
};

class StreamReader {
 public:
  StreamReader();

  // Where more bytes go; never empty when next() had nothing.
  std::span<std::byte> space();
  void filled(std::size_t bytes);

  // Is there a whole command?
  Result<bool> ready();
  // Nothing: more bytes are needed. What it gives is good until space() is called. Behind END
  // another stream may follow, with a header of its own.
  Result<std::optional<StreamCommand>> next();

  // Of all streams together: where the next command begins. For messages.
  std::uint64_t position() const { return position_; }
  // The input may end here: before a stream, or behind its END.
  bool between_streams() const { return !in_stream_ && unread().empty(); }

 private:
  std::span<const std::byte> unread() const {
    return std::span(buffer_).subspan(read_, filled_ - read_);
  }
  void consume(std::size_t bytes);
  Status bad(const std::string& what) const;
  Status take_header();
  Status take_attributes(std::span<const std::byte> body, StreamCommand& command) const;

  std::vector<std::byte> buffer_;
  std::size_t read_ = 0;    // of the buffer, taken apart
  std::size_t filled_ = 0;  // of the buffer
  std::uint64_t position_ = 0;
  bool in_stream_ = false;
};

}  // namespace csnap
