// SPDX-License-Identifier: Apache-2.0
// Fast access to the 48-bit fields of packed entries: one unaligned load instead of six bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "store/endian.h"

namespace csnap {

// REQUIRES: eight bytes may be read from p on.
inline std::uint64_t load48(const std::byte* p) {
  if constexpr (std::endian::native == std::endian::little) {
    std::uint64_t v;
    std::memcpy(&v, p, sizeof v);
    return v & 0xFFFF'FFFF'FFFFULL;
  } else {
    return reinterpret_cast<const Le48*>(p)->get();
  }
}

inline std::uint64_t load64(const std::byte* p) {
  if constexpr (std::endian::native == std::endian::little) {
    std::uint64_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
  } else {
    return reinterpret_cast<const Le64*>(p)->get();
  }
}

}  // namespace csnap
