// SPDX-License-Identifier: Apache-2.0
// What the commands of a stream do to a volume. A stream is of a subvolume that holds one regular
// file; its content is the volume's. Everything else in it is ignored and counted. Paths are only
// compared with each other: none of them ever reaches a file system.
//
// A state machine without I/O: it calls a ReceiveTarget. After a failure it is of no use any more.
// Threading: one thread. Errors: corrupt for a stream that contradicts itself; unsupported for what
// a volume cannot be; those of the target.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "tools/stream/identity.h"
#include "tools/stream/stream_reader.h"

namespace csnap {

struct StreamBegin {
  std::string name;  // of the snapshot to be
  StreamIdentity identity;
  std::optional<StreamIdentity> parent;  // none: full
  std::optional<std::uint64_t> from;     // the stream goes on here, where one was cut off
};

class ReceiveTarget {
 public:
  virtual ~ReceiveTarget() = default;
  virtual std::uint64_t size() const = 0;  // bytes of the volume

  // Prepares the volume: it reads as the parent does, or as zeros. The file's name in the parent,
  // or in the part that is there already; empty if there is none yet.
  virtual Result<std::string> begin(const StreamBegin& begin) = 0;
  // The file that is the volume is called so from now on. unsupported when it cannot be.
  virtual Status named(const std::string& path) = 0;
  // REQUIRES of these: the range lies in the volume.
  virtual Status write(std::uint64_t offset, std::span<const std::byte> data) = 0;
  virtual Status zero(std::uint64_t offset, std::uint64_t length) = 0;
  // from: what the volume holds now; or a snapshot that was received before.
  virtual Status clone(const std::optional<StreamIdentity>& from, std::uint64_t from_offset,
                       std::uint64_t offset, std::uint64_t length) = 0;
  // The stream has come to its end: the snapshot can be made.
  virtual Status finish() = 0;
};

struct StreamCounts {
  std::uint64_t snapshots = 0, writes = 0, clones = 0, truncates = 0, ignored = 0;
  std::uint64_t data_bytes = 0;    // of WRITE
  std::uint64_t cloned_bytes = 0;  // of CLONE
};

class StreamApplier {
 public:
  explicit StreamApplier(ReceiveTarget& target) : target_(target) {}

  // Applies every whole command that the reader has. Errors besides: those of the reader.
  Status apply_all(StreamReader& reader);
  bool receiving() const { return begun_.has_value(); }
  const StreamCounts& counts() const { return counts_; }

 private:
  static constexpr std::size_t kMaxLinks = 64;  // names that the file may have at once

  Status apply(const StreamCommand& command);
  Status begin(const StreamCommand& command);
  Status end();
  Status make_file(const StreamCommand& command);
  Status rename(const StreamCommand& command);
  Status link(const StreamCommand& command);
  Status unlink(const StreamCommand& command);
  Status write(const StreamCommand& command);
  Status clone(const StreamCommand& command);
  Status truncate(const StreamCommand& command);
  Status tell_name();
  Status take_as_file(const std::string& path, const char* what);
  Status check_range(std::uint64_t offset, std::uint64_t length) const;

  ReceiveTarget& target_;
  std::optional<StreamBegin> begun_;
  std::set<std::string> names_;  // of the file; none: there is no file now
  bool whole_ = false;           // it was made in this stream
  std::uint64_t size_ = 0;       // of the file, or of the one that was there last
  bool dirty_ = false;           // the volume is not all zeros though there is no file
  StreamCounts counts_;
};

}  // namespace csnap
