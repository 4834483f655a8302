// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "proto/address_network.h"

namespace csnap {

TEST_CASE("A network holds its addresses and no other") {
  struct Row {
    const char* network;
    const char* host;
    bool inside;
  };
  for (const Row& row : {Row{"10.0.0.0/8", "10.255.0.1", true},
                         {"10.0.0.0/8", "11.0.0.1", false},
                         {"10.1.2.128/25", "10.1.2.128", true},
                         {"10.1.2.128/25", "10.1.2.127", false},
                         {"192.0.2.7", "192.0.2.7", true},
                         {"192.0.2.7", "192.0.2.6", false},
                         {"0.0.0.0/0", "203.0.113.9", true},
                         {"0.0.0.0/0", "2001:db8::1", false},
                         {"192.0.2.7", "::ffff:192.0.2.7", true},
                         {"2001:db8::/33", "2001:db8:7fff::1", true},
                         {"2001:db8::/33", "2001:db8:8000::1", false},
                         {"fe80::/10", "fe80::1%eth0", true},
                         {"::/0", "2001:db8::1", true},
                         {"10.0.0.0/8", "", false},
                         {"10.0.0.0/8", "ten", false}}) {
    INFO(row.network << " and " << row.host);
    const auto network = parse_network(row.network);
    REQUIRE(network.ok());
    CHECK(network->contains(row.host) == row.inside);
  }
}

TEST_CASE("What is no network is refused") {
  for (const char* text :
       {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.1/8", "10.0/8",
        "2001:db8::/129", "2001:db8::1/64", "example.com/8", "fe80::%eth0/10", "10.0.0.0/8/8"}) {
    INFO(text);
    CHECK(parse_network(text).status().code() == Code::invalid);
  }
}

}  // namespace csnap
