// SPDX-License-Identifier: Apache-2.0
#include "proto/address_network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace csnap {
namespace {

constexpr unsigned kBits = 128;
constexpr unsigned kMappedBits = 96;  // before an IPv4 address
using AddressBytes = std::array<std::uint8_t, 16>;

std::optional<AddressBytes> bytes_of(const std::string& host) {
  AddressBytes bytes{};
  // The zone of a link-local address is no part of the network.
  const std::string address = host.substr(0, host.find('%'));
  if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return bytes;
  bytes[10] = bytes[11] = 0xff;
  if (::inet_pton(AF_INET, address.c_str(), bytes.data() + 12) == 1) return bytes;
  return std::nullopt;
}

AddressBytes masked(AddressBytes bytes, unsigned bits) {
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned kept = std::clamp<int>(static_cast<int>(bits) - static_cast<int>(8 * i), 0, 8);
    bytes[i] &= static_cast<std::uint8_t>(0xff00u >> kept);
  }
  return bytes;
}

}  // namespace

bool Network::contains(const std::string& host) const {
  const auto bytes = bytes_of(host);
  return bytes && masked(*bytes, bits) == address;
}

Result<Network> parse_network(const std::string& text) {
  const auto slash = text.find('/');
  const std::string host = text.substr(0, slash);
  const auto bytes = bytes_of(host);
  if (!bytes || host.find('%') != std::string::npos)
    return Status(Code::invalid, "a network is ADDRESS/BITS, such as 10.0.0.0/8");
  Network network{*bytes, kBits};
  if (slash == std::string::npos) return network;
  const unsigned before = host.find(':') == std::string::npos ? kMappedBits : 0;
  unsigned length = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(text.data() + slash + 1, end, length);
  if (failed != std::errc() || stop != end || length > kBits - before)
    return Status(Code::invalid,
                  "a network has 0 to " + std::to_string(kBits - before) + " bits after the slash");
  network.bits = before + length;
  if (masked(network.address, network.bits) != network.address)
    return Status(Code::invalid, "the address has bits beyond the first " + std::to_string(length));
  return network;
}

}  // namespace csnap
