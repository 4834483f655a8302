// SPDX-License-Identifier: Apache-2.0
#include "store/crc.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string_view>
#include <vector>

using namespace csnap;

namespace {

std::uint32_t of(const std::vector<std::byte>& bytes) {
  return crc32c(bytes);
}

std::uint32_t of(std::string_view text) {
  return crc32c(std::as_bytes(std::span(text)));
}

// The definition, bit by bit.
std::uint32_t slowly(std::span<const std::byte> data) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte byte : data) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78 : 0);
  }
  return ~crc;
}

}  // namespace

TEST_CASE("CRC-32C gives the values of RFC 3720, appendix B.4") {
  std::vector<std::byte> bytes(32);
  CHECK(of(bytes) == 0x8A9136AA);
  std::fill(bytes.begin(), bytes.end(), std::byte{0xFF});
  CHECK(of(bytes) == 0x62A8AB43);
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(i);
  CHECK(of(bytes) == 0x46DD794E);
  std::reverse(bytes.begin(), bytes.end());
  CHECK(of(bytes) == 0x113FDB5C);
  CHECK(of(std::string_view("123456789")) == 0xE3069283);
  CHECK(of(std::string_view()) == 0);
}

TEST_CASE("CRC-32C of any bytes in any pieces is that of the definition") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  for (int i = 0; i < 300; ++i) {
    std::vector<std::byte> bytes(rng() % 5000);
    for (auto& byte : bytes) byte = static_cast<std::byte>(rng());
    const std::uint32_t expected = slowly(bytes);
    REQUIRE(crc32c(bytes) == expected);
    std::uint32_t crc = 0;
    for (std::span<const std::byte> rest(bytes); !rest.empty();) {
      const std::size_t n = 1 + rng() % rest.size();
      crc = crc32c_extend(crc, rest.first(n));
      rest = rest.subspan(n);
    }
    REQUIRE(crc == expected);
  }
}
