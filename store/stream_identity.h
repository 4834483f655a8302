// SPDX-License-Identifier: Apache-2.0
// How a send stream names a state of a volume.
#pragma once

#include <cstdint>
#include <string>

#include "store/uuid.h"

namespace csnap {

// A snapshot's content as it was when it was sent. The transid of a csnap snapshot grows within its
// store and never stands for another content.
struct StreamIdentity {
  Uuid uuid;
  std::uint64_t ctransid = 0;
  auto operator<=>(const StreamIdentity&) const = default;
  std::string to_string() const { return uuid.to_string() + "@" + std::to_string(ctransid); }
};

}  // namespace csnap
