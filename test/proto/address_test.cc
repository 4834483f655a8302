// SPDX-License-Identifier: Apache-2.0
#include "proto/address.h"

#include <catch2/catch.hpp>

namespace csnap {
namespace {

TEST_CASE("A Unix socket's address is its path") {
  const auto address = parse_address("unix:/run/csnap/csnapd.sock");
  REQUIRE(address.ok());
  CHECK(address->kind == Address::Kind::unix_socket);
  CHECK(address->path == "/run/csnap/csnapd.sock");
}

TEST_CASE("Host names and both kinds of IP address are understood") {
  const auto name = parse_address("db1.example:7680");
  REQUIRE(name.ok());
  CHECK(name->host == "db1.example");
  CHECK(name->port == 7680);
  const auto v4 = parse_address("127.0.0.1:0");
  REQUIRE(v4.ok());
  CHECK(v4->port == 0);
  const auto v6 = parse_address("[::1]:65535");
  REQUIRE(v6.ok());
  CHECK(v6->host == "::1");
  CHECK(v6->port == 65535);
}

TEST_CASE("An address prints as it is parsed") {
  for (const char* text : {"unix:/a b", "unix:relative", "host:1", "[fe80::1%eth0]:22"}) {
    const auto address = parse_address(text);
    INFO(text);
    REQUIRE(address.ok());
    CHECK(address->to_string() == text);
  }
}

TEST_CASE("What is not an address is refused with a hint") {
  const std::string long_path = "unix:/" + std::string(200, 'x');
  for (const std::string& text :
       {std::string(), std::string("host"), std::string(":7680"), std::string("host:"),
        std::string("host:70000"), std::string("host:-1"), std::string("host:7x"),
        std::string("::1:7680"), std::string("[::1]7680"), std::string("[::1"), std::string("[]:1"),
        std::string("[host]:1"), std::string("unix:"), long_path, std::string("/run/csnapd.sock"),
        std::string("a/b:1"), std::string("h st:1"), std::string("unix:/a\0b", 9)}) {
    INFO(text);
    const auto address = parse_address(text);
    CHECK(address.status().code() == Code::invalid);
    CHECK(address.status().message().find("unix:PATH") != std::string::npos);
  }
}

TEST_CASE("The default addresses are a Unix socket, then the loopback") {
  const auto addresses = default_addresses();
  REQUIRE(addresses.size() == 2);
  CHECK(addresses[0].kind == Address::Kind::unix_socket);
  CHECK(addresses[0].path.ends_with("/csnapd.sock"));
  CHECK(addresses[1].to_string() == "127.0.0.1:7680");
}

}  // namespace
}  // namespace csnap
