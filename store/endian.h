// SPDX-License-Identifier: Apache-2.0
// Little-endian integers for structs that lie on disk. They have no alignment, are exactly as
// large as they say, and are read and written by name (get / set) so that a disk field is never
// mistaken for a number in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace csnap {

template <class T, std::size_t Bytes = sizeof(T)>
class Little {
 public:
  constexpr T get() const {
    T v = 0;
    for (std::size_t i = Bytes; i-- > 0;) v = static_cast<T>(v << 8 | bytes_[i]);
    return v;
  }
  constexpr void set(T v) {
    for (std::size_t i = 0; i < Bytes; ++i, v = static_cast<T>(v >> 8))
      bytes_[i] = static_cast<std::uint8_t>(v);
  }

 private:
  std::uint8_t bytes_[Bytes] = {};
};

template <>
class Little<std::uint8_t, 1> {
 public:
  constexpr std::uint8_t get() const { return byte_; }
  constexpr void set(std::uint8_t v) { byte_ = v; }

 private:
  std::uint8_t byte_ = 0;
};

using U8 = Little<std::uint8_t>;
using Le16 = Little<std::uint16_t>;
using Le32 = Little<std::uint32_t>;
using Le48 = Little<std::uint64_t, 6>;
using Le64 = Little<std::uint64_t>;
static_assert(sizeof(Le16) == 2 && sizeof(Le32) == 4 && sizeof(Le48) == 6 && sizeof(Le64) == 8);
static_assert(alignof(Le64) == 1);

// A view of a disk struct in raw bytes. REQUIRES: the span is at least as long as T and T has
// alignment 1 (every field is one of the types above or an array of bytes).
template <class T>
const T& view_as(std::span<const std::byte> bytes) {
  static_assert(alignof(T) == 1);
  return *reinterpret_cast<const T*>(bytes.data());
}
template <class T>
T& view_as(std::span<std::byte> bytes) {
  static_assert(alignof(T) == 1);
  return *reinterpret_cast<T*>(bytes.data());
}

}  // namespace csnap
