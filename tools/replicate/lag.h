// SPDX-License-Identifier: Apache-2.0
// How far another server's copies are behind, as far as is known here. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/csnap.h"

namespace csnap {

struct Lag {
  std::optional<std::string> newest;  // the newest of ours that is there; none: deleted here since
  std::uint64_t missing = 0;          // live snapshots of ours that are not there
  std::uint64_t behind_ns = 0;        // what is there is so old; 0 when nothing is missing
};

// now_ns: nanoseconds since 1970-01-01 00:00 UTC, of the clock that snapshots' times are of.
Lag lag_of(const Replica& replica, const Admin::SnapshotList& ours, std::uint64_t now_ns);

}  // namespace csnap
