// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

namespace csnap {

// What is looked at at once where zeros are left out, in bytes.
inline constexpr std::size_t kZeroBlockBytes = 4096;

// Are all of them zero? True of no bytes at all. As fast as memory is read; any thread.
inline bool all_zero(std::span<const std::byte> bytes) {
  // All are as the one before them, and the first is zero.
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace csnap
