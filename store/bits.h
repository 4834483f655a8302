// SPDX-License-Identifier: Apache-2.0
// Bits of a bitmap in raw bytes: bit i is bit i % 8 of byte i / 8, so that a little-endian 64-bit
// word holds 64 of them in order. Work is done a word at a time. Pure; the span's length is a
// multiple of 8.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace csnap {

inline std::uint64_t load_word(std::span<const std::byte> bits, std::uint64_t word) {
  std::uint64_t v;
  std::memcpy(&v, bits.data() + word * 8, 8);
  if constexpr (std::endian::native == std::endian::big) v = __builtin_bswap64(v);
  return v;
}

inline void store_word(std::span<std::byte> bits, std::uint64_t word, std::uint64_t v) {
  if constexpr (std::endian::native == std::endian::big) v = __builtin_bswap64(v);
  std::memcpy(bits.data() + word * 8, &v, 8);
}

// The bits [from, to) of a word. REQUIRES: from < to <= 64.
constexpr std::uint64_t word_mask(std::uint64_t from, std::uint64_t to) {
  return (~std::uint64_t{0} >> (64 - (to - from))) << from;
}

// Calls f(word, mask) for each word that [from, to) touches.
template <class F>
void for_each_word(std::uint64_t from, std::uint64_t to, F f) {
  while (from < to) {
    const std::uint64_t word = from / 64;
    const std::uint64_t end = std::min(to, (word + 1) * 64);
    f(word, word_mask(from - word * 64, end - word * 64));
    from = end;
  }
}

// The first bit in [from, to) that has this value; `to` when there is none. word(i) gives word i.
template <class GetWord>
std::uint64_t find_bit(GetWord word, std::uint64_t from, std::uint64_t to, bool value) {
  while (from < to) {
    const std::uint64_t w = (value ? word(from / 64) : ~word(from / 64)) & ~std::uint64_t{0}
                                                                               << from % 64;
    if (w != 0)
      return std::min(to, from / 64 * 64 + static_cast<std::uint64_t>(std::countr_zero(w)));
    from = (from / 64 + 1) * 64;
  }
  return to;
}

inline void set_bits(std::span<std::byte> bits, std::uint64_t from, std::uint64_t to) {
  for_each_word(from, to, [&](std::uint64_t w, std::uint64_t mask) {
    store_word(bits, w, load_word(bits, w) | mask);
  });
}

inline void clear_bits(std::span<std::byte> bits, std::uint64_t from, std::uint64_t to) {
  for_each_word(from, to, [&](std::uint64_t w, std::uint64_t mask) {
    store_word(bits, w, load_word(bits, w) & ~mask);
  });
}

inline std::uint64_t count_bits(std::span<const std::byte> bits, std::uint64_t from,
                                std::uint64_t to) {
  std::uint64_t n = 0;
  for_each_word(from, to, [&](std::uint64_t w, std::uint64_t mask) {
    n += static_cast<std::uint64_t>(std::popcount(load_word(bits, w) & mask));
  });
  return n;
}

}  // namespace csnap
