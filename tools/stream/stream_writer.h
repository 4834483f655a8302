// SPDX-License-Identifier: Apache-2.0
// Appends the commands of a send stream, version 1, to a buffer: docs/format/stream.md. Pure.
// Threading: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tools/stream/identity.h"
#include "tools/stream/stream_format.h"

namespace csnap {

// The checksum of a command, its header and its attributes as they lie one behind the other.
std::uint32_t command_checksum(std::span<const std::byte> command);

class StreamWriter {
 public:
  // out: taken from by the caller between calls, as it likes.
  explicit StreamWriter(std::vector<std::byte>& out) : out_(out) {}

  void header();
  void subvolume(std::string_view path, const StreamIdentity& identity);
  // from: bytes of the file that are not sent, for who has them already. The parent of such a
  // stream is the snapshot itself: nobody else has a part of it.
  void snapshot(std::string_view path, const StreamIdentity& identity, const StreamIdentity& parent,
                std::optional<std::uint64_t> from = std::nullopt);
  void make_file(std::string_view path);
  // The directories above it, but for those that are above `beside`, too.
  void make_directories(std::string_view path, std::string_view beside = {});
  void rename(std::string_view from, std::string_view to);
  // REQUIRES: 1 to kWriteBytes bytes.
  void write(std::string_view path, std::uint64_t offset, std::span<const std::byte> data);
  void truncate(std::string_view path, std::uint64_t size);
  void chmod(std::string_view path, std::uint64_t mode);
  void utimes(std::string_view path, std::uint64_t ns_since_1970);
  void end();

 private:
  void begin(CommandType type);
  void put(Attribute type, std::span<const std::byte> bytes);
  void put(Attribute type, std::string_view text);
  void put(Attribute type, std::uint64_t number);
  void put(const StreamIdentity& identity, Attribute uuid, Attribute ctransid);
  void put_time(Attribute type, std::uint64_t ns_since_1970);
  void finish();

  std::vector<std::byte>& out_;
  std::size_t command_ = 0;  // where the one being written begins
};

}  // namespace csnap
