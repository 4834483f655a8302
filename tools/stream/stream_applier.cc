// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/stream_applier.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace csnap {
namespace {

Status stream_is_wrong(const std::string& what) {
  return Status(Code::corrupt, "the stream contradicts itself: " + what);
}

}  // namespace

Status StreamApplier::apply_all(StreamReader& reader) {
  for (;;) {
    CSNAP_ASSIGN(const auto command, reader.next());
    if (!command) return {};
    CSNAP_TRY(apply(*command));
  }
}

Status StreamApplier::apply(const StreamCommand& command) {
  const CommandType type = command.type();
  const bool opens = type == CommandType::subvolume || type == CommandType::snapshot;
  if (opens == receiving())
    return stream_is_wrong(std::string(command_name(type)) +
                           (opens ? " inside a snapshot" : " without a snapshot"));
  switch (type) {
    case CommandType::subvolume:
    case CommandType::snapshot:
      return begin(command);
    case CommandType::make_file:
      return make_file(command);
    case CommandType::rename:
      return rename(command);
    case CommandType::link:
      return link(command);
    case CommandType::unlink:
      return unlink(command);
    case CommandType::write:
      return write(command);
    case CommandType::clone:
      return clone(command);
    case CommandType::truncate:
      return truncate(command);
    case CommandType::end:
      return end();
    case CommandType::update_extent:
      return Status(Code::unsupported,
                    "the stream was made without data (btrfs send --no-data); there is nothing in "
                    "it to receive");
    default:
      ++counts_.ignored;
      return {};
  }
}

Status StreamApplier::begin(const StreamCommand& command) {
  StreamBegin begin;
  CSNAP_ASSIGN(begin.name, command.name(Attribute::path));
  CSNAP_ASSIGN(begin.identity, command.identity(Attribute::uuid, Attribute::ctransid));
  if (command.type() == CommandType::snapshot) {
    CSNAP_ASSIGN(begin.parent, command.identity(Attribute::clone_uuid, Attribute::clone_ctransid));
    if (command.has(Attribute::clone_offset)) {
      CSNAP_ASSIGN(begin.from, command.number(Attribute::clone_offset));
      if (begin.parent != begin.identity || *begin.from > target_.size())
        return stream_is_wrong("it goes on where it cannot");
      begin.parent.reset();
    } else if (begin.parent == begin.identity) {
      return stream_is_wrong("a snapshot that is its own parent");
    }
  }
  CSNAP_ASSIGN(std::string path, target_.begin(begin));
  names_.clear();
  if (!path.empty()) names_.insert(std::move(path));
  whole_ = names_.empty();
  size_ = names_.empty() ? 0 : target_.size();
  dirty_ = false;
  begun_ = std::move(begin);
  return {};
}

Status StreamApplier::end() {
  if (names_.empty())
    return Status(Code::unsupported, "the stream holds no regular file, so there is no volume");
  if (size_ != target_.size())
    return Status(Code::unsupported, "the file in the stream has " + std::to_string(size_) +
                                         " bytes, the volume here " +
                                         std::to_string(target_.size()) +
                                         "; they must be of one size");
  // The next stream may call it by any of them, or take one away: it could not be told what that
  // is.
  if (names_.size() > 1)
    return Status(Code::unsupported, "the file in the stream has " + std::to_string(names_.size()) +
                                         " names at the end, " + *names_.begin() + " and " +
                                         *names_.rbegin() + "; a volume has one");
  CSNAP_TRY(target_.finish());
  ++counts_.snapshots;
  begun_.reset();
  return {};
}

Status StreamApplier::make_file(const StreamCommand& command) {
  CSNAP_ASSIGN(std::string path, command.path(Attribute::path));
  if (path.empty()) return stream_is_wrong("MKFILE without a path");
  if (!names_.empty())
    return Status(Code::unsupported,
                  "the stream holds a second regular file, " + path + "; a volume is made of one");
  if (std::exchange(dirty_, false)) CSNAP_TRY(target_.zero(0, target_.size()));
  size_ = 0;
  names_.insert(std::move(path));
  whole_ = true;
  CSNAP_TRY(tell_name());
  return {};
}

Status StreamApplier::tell_name() {
  return names_.empty() ? Status() : target_.named(*names_.begin());
}

// A directory that is renamed takes the file with it.
Status StreamApplier::rename(const StreamCommand& command) {
  CSNAP_ASSIGN(const std::string from, command.path(Attribute::path));
  CSNAP_ASSIGN(const std::string to, command.path(Attribute::path_to));
  if (from.empty() || to.empty()) return stream_is_wrong("RENAME without a path");
  std::set<std::string> names;
  bool ours = false;
  for (const std::string& name : names_) {
    const bool below = name.starts_with(from + "/");
    ours = ours || name == from || below;
    names.insert(name == from ? to : below ? to + name.substr(from.size()) : name);
    if (name == to && from != to) return stream_is_wrong("RENAME onto the file, " + to);
  }
  if (std::ranges::any_of(names, [](const std::string& n) { return n.size() > kMaxStreamPath; }))
    return stream_is_wrong("RENAME to a path that is too long");
  names_ = std::move(names);
  if (ours)
    CSNAP_TRY(tell_name());
  else
    ++counts_.ignored;
  return {};
}

Status StreamApplier::link(const StreamCommand& command) {
  CSNAP_ASSIGN(std::string path, command.path(Attribute::path));
  CSNAP_ASSIGN(const std::string target, command.path(Attribute::path_link));
  if (!names_.contains(target)) {
    ++counts_.ignored;
    return {};
  }
  if (path.empty() || names_.size() == kMaxLinks)
    return Status(Code::unsupported, "the file in the stream has more than 64 names");
  names_.insert(std::move(path));
  CSNAP_TRY(tell_name());
  return {};
}

Status StreamApplier::unlink(const StreamCommand& command) {
  CSNAP_ASSIGN(const std::string path, command.path(Attribute::path));
  if (names_.erase(path) == 0) {
    ++counts_.ignored;
  } else if (names_.empty()) {
    dirty_ = true;
  } else {
    CSNAP_TRY(tell_name());
  }
  return {};
}

// What a stream changes may be called otherwise here: there is but one file, with one name.
Status StreamApplier::take_as_file(const std::string& path, const char* what) {
  if (names_.contains(path)) return {};
  if (whole_ || path.empty() || names_.size() != 1)
    return stream_is_wrong(std::string(what) + " to " + path + ", which is no file");
  names_ = {path};
  return tell_name();
}

Status StreamApplier::check_range(std::uint64_t offset, std::uint64_t length) const {
  if (offset <= target_.size() && length <= target_.size() - offset) return {};
  return Status(Code::unsupported,
                "the file in the stream is larger than the volume here, which "
                "has " +
                    std::to_string(target_.size()) + " bytes");
}

Status StreamApplier::write(const StreamCommand& command) {
  CSNAP_ASSIGN(const std::string path, command.path(Attribute::path));
  CSNAP_ASSIGN(const std::uint64_t offset, command.number(Attribute::file_offset));
  CSNAP_ASSIGN(const auto data, command.bytes(Attribute::data));
  CSNAP_TRY(take_as_file(path, "WRITE"));
  CSNAP_TRY(check_range(offset, data.size()));
  ++counts_.writes;
  if (data.empty()) return {};
  counts_.data_bytes += data.size();
  size_ = std::max(size_, offset + data.size());
  return target_.write(offset, data);
}

Status StreamApplier::clone(const StreamCommand& command) {
  CSNAP_ASSIGN(const std::string path, command.path(Attribute::path));
  CSNAP_ASSIGN(const std::uint64_t offset, command.number(Attribute::file_offset));
  CSNAP_ASSIGN(const std::uint64_t length, command.number(Attribute::clone_length));
  CSNAP_ASSIGN(const auto source,
               command.identity(Attribute::clone_uuid, Attribute::clone_ctransid));
  CSNAP_ASSIGN(const std::string from_path, command.path(Attribute::clone_path));
  CSNAP_ASSIGN(const std::uint64_t from, command.number(Attribute::clone_offset));
  CSNAP_TRY(take_as_file(path, "CLONE"));
  CSNAP_TRY(check_range(offset, length));
  CSNAP_TRY(check_range(from, length));
  ++counts_.clones;
  if (length == 0) return {};
  counts_.cloned_bytes += length;
  size_ = std::max(size_, offset + length);
  if (source.uuid != begun_->identity.uuid) return target_.clone(source, from, offset, length);
  CSNAP_TRY(take_as_file(from_path, "CLONE"));
  if (std::max(from, offset) < std::min(from, offset) + length)
    return stream_is_wrong("CLONE of a range onto itself");
  return target_.clone(std::nullopt, from, offset, length);
}

Status StreamApplier::truncate(const StreamCommand& command) {
  CSNAP_ASSIGN(const std::string path, command.path(Attribute::path));
  CSNAP_ASSIGN(const std::uint64_t size, command.number(Attribute::size));
  CSNAP_TRY(take_as_file(path, "TRUNCATE"));
  CSNAP_TRY(check_range(size, 0));
  ++counts_.truncates;
  const std::uint64_t before = std::exchange(size_, size);
  return size < before ? target_.zero(size, before - size) : Status();
}

}  // namespace csnap
