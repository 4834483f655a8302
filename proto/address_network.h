// SPDX-License-Identifier: Apache-2.0
// A network as people write it: 10.0.0.0/8, 2001:db8::/32, or one address. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "store/status.h"

namespace csnap {

struct Network {
  std::array<std::uint8_t, 16> address{};  // IPv4 as ::ffff:a.b.c.d
  unsigned bits = 0;                       // of it that count

  // host: an IPv4 or IPv6 address; false for anything else.
  bool contains(const std::string& host) const;
};

// invalid for what is none, and for one with bits behind its length: that is another one than is
// meant.
Result<Network> parse_network(const std::string& text);

}  // namespace csnap
