// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/stream_writer.h"

#include <cassert>
#include <cstring>

#include "store/crc.h"

namespace csnap {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

std::uint32_t command_checksum(std::span<const std::byte> command) {
  auto header = view_as<CommandHeaderDisk>(command);
  header.crc.set(0);
  // Ours is begun with all ones and inverted at the end: what stands for nothing there is ~0 here.
  std::uint32_t crc = crc32c_extend(~std::uint32_t{0}, bytes_of(header));
  crc = crc32c_extend(crc, command.subspan(sizeof header));
  return ~crc;
}

void StreamWriter::header() {
  StreamHeaderDisk header{};
  std::memcpy(header.magic, kStreamMagic, sizeof header.magic);
  header.version.set(kStreamVersion);
  const auto bytes = bytes_of(header);
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}

void StreamWriter::begin(CommandType type) {
  command_ = out_.size();
  CommandHeaderDisk header{};
  header.command.set(static_cast<std::uint16_t>(type));
  const auto bytes = bytes_of(header);
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}

void StreamWriter::put(Attribute type, std::span<const std::byte> bytes) {
  assert(bytes.size() <= UINT16_MAX);
  AttributeHeaderDisk header{};
  header.type.set(static_cast<std::uint16_t>(type));
  header.length.set(static_cast<std::uint16_t>(bytes.size()));
  const auto front = bytes_of(header);
  out_.insert(out_.end(), front.begin(), front.end());
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}

void StreamWriter::put(Attribute type, std::string_view text) {
  put(type, std::as_bytes(std::span(text)));
}

void StreamWriter::put(Attribute type, std::uint64_t number) {
  Le64 value;
  value.set(number);
  put(type, bytes_of(value));
}

void StreamWriter::put(const StreamIdentity& identity, Attribute uuid, Attribute ctransid) {
  put(uuid, std::as_bytes(std::span(identity.uuid.bytes)));
  put(ctransid, identity.ctransid);
}

void StreamWriter::put_time(Attribute type, std::uint64_t ns_since_1970) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  struct {
    Le64 seconds;
    Le32 nanoseconds;
  } time;
  time.seconds.set(ns_since_1970 / kSecond);
  time.nanoseconds.set(static_cast<std::uint32_t>(ns_since_1970 % kSecond));
  static_assert(sizeof time == 12);
  put(type, bytes_of(time));
}

void StreamWriter::finish() {
  const auto command = std::span(out_).subspan(command_);
  auto& header = view_as<CommandHeaderDisk>(command);
  header.length.set(static_cast<std::uint32_t>(command.size() - sizeof header));
  assert(header.length.get() <= kMaxCommandBody);
  header.crc.set(command_checksum(command));
}

void StreamWriter::subvolume(std::string_view path, const StreamIdentity& identity) {
  begin(CommandType::subvolume);
  put(Attribute::path, path);
  put(identity, Attribute::uuid, Attribute::ctransid);
  finish();
}

void StreamWriter::snapshot(std::string_view path, const StreamIdentity& identity,
                            const StreamIdentity& parent, std::optional<std::uint64_t> from) {
  begin(CommandType::snapshot);
  put(Attribute::path, path);
  put(identity, Attribute::uuid, Attribute::ctransid);
  put(parent, Attribute::clone_uuid, Attribute::clone_ctransid);
  if (from) put(Attribute::clone_offset, *from);
  finish();
}

void StreamWriter::make_file(std::string_view path) {
  constexpr std::uint64_t kFirstInode = 257;  // of a subvolume's files
  begin(CommandType::make_file);
  put(Attribute::path, path);
  put(Attribute::inode, kFirstInode);
  finish();
}

void StreamWriter::make_directories(std::string_view path, std::string_view beside) {
  constexpr std::uint64_t kFreeInodes = 258;
  std::uint64_t inode = kFreeInodes;
  for (std::size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    if (beside.starts_with(path.substr(0, slash + 1))) continue;
    begin(CommandType::make_dir);
    put(Attribute::path, path.substr(0, slash));
    put(Attribute::inode, inode++);
    finish();
  }
}

void StreamWriter::rename(std::string_view from, std::string_view to) {
  begin(CommandType::rename);
  put(Attribute::path, from);
  put(Attribute::path_to, to);
  finish();
}

void StreamWriter::write(std::string_view path, std::uint64_t offset,
                         std::span<const std::byte> data) {
  assert(!data.empty() && data.size() <= kWriteBytes);
  begin(CommandType::write);
  put(Attribute::path, path);
  put(Attribute::file_offset, offset);
  put(Attribute::data, data);
  finish();
}

void StreamWriter::truncate(std::string_view path, std::uint64_t size) {
  begin(CommandType::truncate);
  put(Attribute::path, path);
  put(Attribute::size, size);
  finish();
}

void StreamWriter::chmod(std::string_view path, std::uint64_t mode) {
  begin(CommandType::chmod);
  put(Attribute::path, path);
  put(Attribute::mode, mode);
  finish();
}

void StreamWriter::utimes(std::string_view path, std::uint64_t ns_since_1970) {
  begin(CommandType::utimes);
  put(Attribute::path, path);
  put_time(Attribute::atime, ns_since_1970);
  put_time(Attribute::mtime, ns_since_1970);
  put_time(Attribute::ctime, ns_since_1970);
  finish();
}

void StreamWriter::end() {
  begin(CommandType::end);
  finish();
}

}  // namespace csnap
