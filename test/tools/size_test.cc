// SPDX-License-Identifier: Apache-2.0
#include "tools/common/size.h"

#include <catch2/catch.hpp>

using namespace csnap;

TEST_CASE("sizes are read with binary and decimal units") {
  const std::pair<const char*, std::uint64_t> cases[] = {
      {"0", 0},
      {"512", 512},
      {"512B", 512},
      {"4K", 4096},
      {"4k", 4096},
      {"4KiB", 4096},
      {"4 KiB", 4096},
      {"4KB", 4000},
      {"1.5G", 1610612736},
      {"2TB", 2000000000000},
      {"15E", 15ULL << 60},
      {"18446744073709551615", ~0ULL},
  };
  for (const auto& [text, bytes] : cases) {
    INFO(text);
    const auto size = parse_size(text);
    REQUIRE(size.ok());
    CHECK(*size == bytes);
  }
}

TEST_CASE("what is no size is invalid") {
  for (const char* text : {"", "K", "-1", "4X", "4KK", "1..5K", ".5K", "5.K", "1.5.5K", "4K ",
                           "0x10", " 4K", "4Kib2", "1.3", "0.0001K"}) {
    INFO(text);
    CHECK(parse_size(text).status().code() == Code::invalid);
  }
}

TEST_CASE("a size beyond 64 bits is out of range") {
  for (const char* text : {"16E", "18446744073709551616", "99999999999999999999999999", "20EB",
                           "1.00000000000000000000000001K"})
    CHECK(parse_size(text).status().code() == Code::out_of_range);
}

TEST_CASE("sizes are shown in the largest unit, rounded down") {
  CHECK(format_size(0) == "0 B");
  CHECK(format_size(1023) == "1023 B");
  CHECK(format_size(4096) == "4 KiB");
  CHECK(format_size(1610612736) == "1.5 GiB");
  CHECK(format_size((1 << 20) - 1) == "1023.9 KiB");
  CHECK(format_size(~0ULL) == "15.9 EiB");
}
