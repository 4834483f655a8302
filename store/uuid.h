// SPDX-License-Identifier: Apache-2.0
// A UUID (RFC 4122) as 16 bytes in network order. Making one takes random bytes from the caller:
// the engine has no randomness of its own.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "store/status.h"

namespace csnap {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const Uuid&) const = default;
  bool is_nil() const { return *this == Uuid{}; }
  // 8-4-4-4-12 lower-case hexadecimal.
  std::string to_string() const;
  static Result<Uuid> parse(std::string_view text);
  // Version 4 from two random words.
  static Uuid from_random(std::uint64_t high, std::uint64_t low);
};

}  // namespace csnap

template <>
struct std::hash<csnap::Uuid> {
  std::size_t operator()(const csnap::Uuid& u) const noexcept {
    std::size_t h = 0;
    for (auto b : u.bytes) h = h * 131 + b;
    return h;
  }
};
