// SPDX-License-Identifier: Apache-2.0
// Where a server listens: `unix:PATH`, `HOST:PORT`, `[V6]:PORT`. Everywhere in csnap the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/status.h"

namespace csnap {

inline constexpr std::uint16_t kDefaultPort = 7680;

struct Address {
  enum class Kind : std::uint8_t { unix_socket, tcp };
  Kind kind = Kind::tcp;
  std::string path;  // unix_socket: of the socket
  std::string host;  // tcp: a name, or an IPv4 or IPv6 address without brackets
  std::uint16_t port = 0;

  // As parse_address() takes it.
  std::string to_string() const;
  bool operator==(const Address&) const = default;
};

// invalid, saying what an address looks like. Port 0 (any free one) is for listening.
Result<Address> parse_address(std::string_view text);

// The Unix socket of this user's server: /run/csnap/csnapd.sock for root, else
// $XDG_RUNTIME_DIR/csnap/csnapd.sock (in /tmp/csnap-UID when the variable is not set).
Address default_unix_address();
// That, and 127.0.0.1:7680: what a server listens on, and where a client looks, in this order.
std::vector<Address> default_addresses();

}  // namespace csnap
