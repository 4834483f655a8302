// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/stream_reader.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "tools/stream/stream_writer.h"

namespace csnap {
namespace {

constexpr std::size_t kBufferBytes = 256u << 10;
static_assert(kBufferBytes > sizeof(CommandHeaderDisk) + kMaxCommandBody);

constexpr std::array<const char*, kLastCommand + 1> kCommandNames{
    "NONE",    "SUBVOL",   "SNAPSHOT", "MKFILE", "MKDIR",  "MKNOD",     "MKFIFO",       "MKSOCK",
    "SYMLINK", "RENAME",   "LINK",     "UNLINK", "RMDIR",  "SET_XATTR", "REMOVE_XATTR", "WRITE",
    "CLONE",   "TRUNCATE", "CHMOD",    "CHOWN",  "UTIMES", "END",       "UPDATE_EXTENT"};

}  // namespace

const char* command_name(CommandType type) {
  return kCommandNames[std::min<std::size_t>(static_cast<std::size_t>(type), kLastCommand)];
}

Status StreamCommand::bad(Attribute a, const std::string& what) const {
  return Status(Code::corrupt, std::string(command_name(type_)) + ": attribute " +
                                   std::to_string(index(a)) + " " + what);
}

Result<std::span<const std::byte>> StreamCommand::bytes(Attribute a) const {
  if (!has(a)) return bad(a, "is missing");
  return attributes_[index(a)];
}

Result<std::uint64_t> StreamCommand::number(Attribute a) const {
  CSNAP_ASSIGN(const auto data, bytes(a));
  if (data.size() != sizeof(Le64)) return bad(a, "is no number of 8 bytes");
  return view_as<Le64>(data).get();
}

Result<std::string> StreamCommand::path(Attribute a) const {
  CSNAP_ASSIGN(const auto data, bytes(a));
  const std::string text(reinterpret_cast<const char*>(data.data()), data.size());
  if (text.empty()) return text;
  if (text.size() > kMaxStreamPath) return bad(a, "is too long for a path");
  if (text.find('\0') != std::string::npos) return bad(a, "has a zero byte in it");
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t slash = std::min(text.find('/', at), text.size());
    const std::string part = text.substr(at, slash - at);
    if (part.empty() || part == "." || part == ".." || part.size() > kMaxStreamName)
      return bad(a, "is no path below the subvolume");
    at = slash + 1;
  }
  return text;
}

Result<std::string> StreamCommand::name(Attribute a) const {
  CSNAP_ASSIGN(std::string text, path(a));
  if (text.empty() || text.find('/') != std::string::npos) return bad(a, "is no name");
  return text;
}

Result<StreamIdentity> StreamCommand::identity(Attribute uuid, Attribute ctransid) const {
  StreamIdentity identity;
  CSNAP_ASSIGN(const auto data, bytes(uuid));
  if (data.size() != identity.uuid.bytes.size()) return bad(uuid, "is no UUID");
  std::memcpy(identity.uuid.bytes.data(), data.data(), data.size());
  if (identity.uuid.is_nil()) return bad(uuid, "is the nil UUID");
  CSNAP_ASSIGN(identity.ctransid, number(ctransid));
  return identity;
}

StreamReader::StreamReader() : buffer_(kBufferBytes) {}

std::span<std::byte> StreamReader::space() {
  // What is left is moved to the front when there is little room behind it: seldom, and little.
  if (buffer_.size() - filled_ < buffer_.size() / 4) {
    std::memmove(buffer_.data(), buffer_.data() + read_, filled_ - read_);
    filled_ -= read_;
    read_ = 0;
  }
  return std::span(buffer_).subspan(filled_);
}

void StreamReader::filled(std::size_t bytes) {
  assert(bytes <= buffer_.size() - filled_);
  filled_ += bytes;
}

void StreamReader::consume(std::size_t bytes) {
  read_ += bytes;
  position_ += bytes;
}

Status StreamReader::bad(const std::string& what) const {
  return Status(Code::corrupt, "the stream, at byte " + std::to_string(position_) + ": " + what);
}

Status StreamReader::take_header() {
  const auto& header = view_as<StreamHeaderDisk>(unread());
  if (std::memcmp(header.magic, kStreamMagic, sizeof header.magic) != 0)
    return bad("this is no send stream");
  if (header.version.get() != kStreamVersion)
    return Status(Code::unsupported, "the stream has version " +
                                         std::to_string(header.version.get()) +
                                         ", and only 1 is understood; make it with "
                                         "btrfs send --proto 1");
  consume(sizeof header);
  in_stream_ = true;
  return {};
}

Status StreamReader::take_attributes(std::span<const std::byte> body,
                                     StreamCommand& command) const {
  while (!body.empty()) {
    if (body.size() < sizeof(AttributeHeaderDisk)) return bad("an attribute is cut off");
    const auto& header = view_as<AttributeHeaderDisk>(body);
    const std::size_t type = header.type.get(), length = header.length.get();
    body = body.subspan(sizeof header);
    if (length > body.size()) return bad("an attribute is longer than its command");
    if (type == 0 || type > kLastAttribute)
      return bad("attribute " + std::to_string(type) + " does not exist");
    if (command.attributes_[type].data() != nullptr)
      return bad("attribute " + std::to_string(type) + " is there twice");
    command.attributes_[type] = {body.data(), length};
    body = body.subspan(length);
  }
  return {};
}

Result<bool> StreamReader::ready() {
  if (!in_stream_) {
    if (unread().size() < sizeof(StreamHeaderDisk)) return false;
    CSNAP_TRY(take_header());
  }
  if (unread().size() < sizeof(CommandHeaderDisk)) return false;
  const std::size_t length = view_as<CommandHeaderDisk>(unread()).length.get();
  if (length > kMaxCommandBody)
    return bad("a command of " + std::to_string(length) + " bytes; 65536 is the most");
  return unread().size() >= sizeof(CommandHeaderDisk) + length;
}

Result<std::optional<StreamCommand>> StreamReader::next() {
  CSNAP_ASSIGN(const bool is_whole, ready());
  if (!is_whole) return std::optional<StreamCommand>();
  const auto& header = view_as<CommandHeaderDisk>(unread());
  const auto whole = unread().first(sizeof header + header.length.get());
  if (header.crc.get() != command_checksum(whole)) return bad("the checksum is wrong");
  if (header.command.get() == 0 || header.command.get() > kLastCommand)
    return Status(Code::unsupported, "the stream, at byte " + std::to_string(position_) +
                                         ": command " + std::to_string(header.command.get()) +
                                         " is not known");
  StreamCommand command;
  command.type_ = static_cast<CommandType>(header.command.get());
  CSNAP_TRY(take_attributes(whole.subspan(sizeof header), command));
  consume(whole.size());
  if (command.type_ == CommandType::end) in_stream_ = false;
  return std::optional(command);
}

}  // namespace csnap
