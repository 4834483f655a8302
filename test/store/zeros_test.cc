// SPDX-License-Identifier: Apache-2.0
#include "store/zeros.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace csnap;

TEST_CASE("bytes are all zero until one of them is not, wherever it is") {
  CHECK(all_zero({}));
  for (const std::size_t size : {1, 2, 3, 15, 16, 17, 64, 4096, 4099}) {
    std::vector<std::byte> bytes(size);
    CHECK(all_zero(bytes));
    for (auto& byte : bytes) {
      byte = std::byte{0x80};
      REQUIRE_FALSE(all_zero(bytes));
      byte = std::byte{0};
    }
    bytes.assign(size, std::byte{1});
    CHECK_FALSE(all_zero(bytes));
  }
}
