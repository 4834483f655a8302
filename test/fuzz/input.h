// SPDX-License-Identifier: Apache-2.0
// The bytes a fuzzer gives, taken off the front as numbers and runs of bytes. An input that ends
// early goes on with zeros, so every input means something. Little-endian.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace csnap::fuzz {

class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  std::size_t left() const { return bytes_.size(); }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u48() { return number(6); }
  std::uint64_t u64() { return number(8); }
  // At most so many bytes: fewer when the input ends.
  std::span<const std::byte> bytes(std::size_t most) {
    const auto taken = bytes_.first(std::min(most, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }
  std::span<const std::byte> rest() { return bytes(bytes_.size()); }
  // Copies over the front of `out` what there is.
  void fill(std::span<std::byte> out) { std::ranges::copy(bytes(out.size()), out.begin()); }
  // Changes `out` in some places: a number of patches of {u16 offset, u8 length, bytes}.
  void patch(std::span<std::byte> out) {
    for (unsigned n = u8(); n > 0 && !empty(); --n) {
      const std::size_t at = u16() % out.size();
      const std::size_t length = std::min<std::size_t>(u8(), out.size() - at);
      fill(out.subspan(at, length));
    }
  }

 private:
  std::uint64_t number(unsigned size) {
    std::uint64_t value = 0;
    unsigned shift = 0;
    for (const std::byte b : bytes(size)) {
      value |= static_cast<std::uint64_t>(b) << shift;
      shift += 8;
    }
    return value;
  }

  std::span<const std::byte> bytes_;
};

}  // namespace csnap::fuzz
