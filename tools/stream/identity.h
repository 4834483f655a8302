// SPDX-License-Identifier: Apache-2.0
// How a stream names a state of a volume, and where a stream goes on that was cut off.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/status.h"
#include "store/uuid.h"

namespace csnap {

// A snapshot as it was when it was sent. The transid of a csnap snapshot is its id in its store,
// which grows and is never used again.
struct StreamIdentity {
  Uuid uuid;
  std::uint64_t ctransid = 0;
  bool operator==(const StreamIdentity&) const = default;
  std::string to_string() const { return uuid.to_string() + "@" + std::to_string(ctransid); }
};

// What a receiver says that it has of a snapshot: everything below an offset. Made by who receives,
// checked by who sends; neither believes it.
struct ResumeToken {
  StreamIdentity snapshot;
  std::optional<StreamIdentity> parent;
  std::uint64_t offset = 0;  // bytes of the volume

  // Hexadecimal, with a checksum against mistakes in copying it.
  std::string to_string() const;
  static Result<ResumeToken> parse(std::string_view text);
  bool operator==(const ResumeToken&) const = default;
};

}  // namespace csnap
