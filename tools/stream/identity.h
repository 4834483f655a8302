// SPDX-License-Identifier: Apache-2.0
// Where a stream goes on that was cut off.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/status.h"
#include "store/stream_identity.h"

namespace csnap {

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
