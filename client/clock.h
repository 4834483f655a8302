// SPDX-License-Identifier: Apache-2.0
// The clock that leases are measured with: it never goes back, and it goes on while the machine
// sleeps, during which the server may give a lease away.
#pragma once

#include <time.h>

#include <cstdint>

namespace csnap {

inline std::uint64_t clock_ms() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1000 +
         static_cast<std::uint64_t>(t.tv_nsec) / 1000000;
}

}  // namespace csnap
