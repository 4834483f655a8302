// SPDX-License-Identifier: Apache-2.0
#include "proto/address.h"

#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>

namespace csnap {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

Status refuse(std::string_view text, const std::string& why) {
  return {Code::invalid, "'" + std::string(text) + "' is not an address: " + why +
                             " (unix:PATH, HOST:PORT or [IPV6]:PORT is expected)"};
}

Result<Address> parse_unix(std::string_view text) {
  const std::string_view path = text.substr(kUnixPrefix.size());
  if (path.empty()) return refuse(text, "the path is missing");
  if (path.find('\0') != std::string_view::npos) return refuse(text, "the path has a zero byte");
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    return refuse(text, "a socket's path has at most " +
                            std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes");
  Address address;
  address.kind = Address::Kind::unix_socket;
  address.path = path;
  return address;
}

bool host_is_sane(std::string_view host) {
  constexpr std::string_view kNever = " \t\r\n/[]\"'\\";
  return host.find_first_of(kNever) == std::string_view::npos &&
         host.find('\0') == std::string_view::npos;
}

}  // namespace

std::string Address::to_string() const {
  if (kind == Kind::unix_socket) return std::string(kUnixPrefix) + path;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Address> parse_address(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return parse_unix(text);
  std::string_view host;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return refuse(text, "']' is missing");
    host = text.substr(1, close - 1);
    if (host.find(':') == std::string_view::npos)
      return refuse(text, "only an IPv6 address stands in brackets");
    if (text.size() <= close + 1 || text[close + 1] != ':')
      return refuse(text, "the port is missing");
    port = text.substr(close + 2);
  } else {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return refuse(text, "the port is missing");
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.find(':') != std::string_view::npos)
      return refuse(text, "an IPv6 address stands in brackets");
  }
  if (host.empty()) return refuse(text, "the host is missing");
  if (!host_is_sane(host)) return refuse(text, "the host has characters that no host has");
  Address address;
  address.host = host;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size())
    return refuse(text, "the port is a number from 0 to 65535");
  return address;
}

Address default_unix_address() {
  Address address;
  address.kind = Address::Kind::unix_socket;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (geteuid() == 0)
    address.path = "/run/csnap/csnapd.sock";
  else if (runtime != nullptr && *runtime != '\0')
    address.path = std::string(runtime) + "/csnap/csnapd.sock";
  else
    address.path = "/tmp/csnap-" + std::to_string(geteuid()) + "/csnapd.sock";
  return address;
}

std::vector<Address> default_addresses() {
  Address tcp;
  tcp.host = "127.0.0.1";
  tcp.port = kDefaultPort;
  return {default_unix_address(), tcp};
}

}  // namespace csnap
