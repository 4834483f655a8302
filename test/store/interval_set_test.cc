// SPDX-License-Identifier: Apache-2.0
#include "store/interval_set.h"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

using namespace csnap;
using Fill = AvoidSet::Fill;

TEST_CASE("neighbours that are alike are one run") {
  AvoidSet set;
  set.add(10, 20, Fill::free);
  set.add(30, 40, Fill::free);
  CHECK(set.runs() == 2);
  set.add(20, 30, Fill::free);
  CHECK(set.runs() == 1);
  set.add(15, 25, Fill::free);
  CHECK(set.runs() == 3);
  CHECK(set.covers(10, 40));
  CHECK_FALSE(set.covers(10, 41));
  CHECK_FALSE(set.overlaps(40, 50));
}

TEST_CASE("a block leaves the set when its last reason does") {
  AvoidSet set;
  set.add(0, 10, Fill::unknown);
  set.add(5, 15, Fill::used);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> gone;
  const auto note = [&](std::uint64_t from, std::uint64_t to, Fill) {
    gone.emplace_back(from, to);
  };
  set.remove(3, 12, note);
  CHECK(gone == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{3, 5}, {10, 12}});
  CHECK(set.overlaps(9, 10));
  set.remove(0, 100, note);
  CHECK(set.runs() == 0);
}

TEST_CASE("the set agrees with an array of counts under random events") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  constexpr std::uint64_t kSize = 200;
  AvoidSet set;
  std::vector<unsigned> counts(kSize);
  std::vector<Fill> fills(kSize);
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t from = rng() % kSize, to = from + 1 + rng() % (kSize - from);
    const Fill fill = static_cast<Fill>(rng() % 3);
    switch (rng() % 3) {
      case 0:
        set.add(from, to, fill);
        for (auto b = from; b < to; ++b)
          if (counts[b]++ == 0 || fills[b] == Fill::unknown) fills[b] = fill;
        break;
      case 1: {
        std::uint64_t left = 0, expected = 0;
        set.remove(from, to, [&](std::uint64_t a, std::uint64_t b, Fill its) {
          for (; a < b; ++a, ++left) REQUIRE(fills[a] == its);
        });
        for (auto b = from; b < to; ++b)
          if (counts[b] > 0) expected += --counts[b] == 0;
        REQUIRE(left == expected);
        break;
      }
      default:
        set.set_fill(from, to, fill);
        for (auto b = from; b < to; ++b) fills[b] = fill;
    }
    std::uint64_t free = 0, unknown = 0, runs = 0;
    for (std::uint64_t b = 0; b < kSize; ++b) {
      REQUIRE(set.overlaps(b, b + 1) == (counts[b] > 0));
      if (counts[b] == 0) continue;
      free += fills[b] == Fill::free;
      unknown += fills[b] == Fill::unknown;
      runs += b == 0 || counts[b - 1] != counts[b] || fills[b - 1] != fills[b];
    }
    REQUIRE(set.free_blocks() == free);
    REQUIRE(set.unknown_blocks() == unknown);
    REQUIRE(set.runs() == runs);
    REQUIRE(set.first_unknown().has_value() == (unknown > 0));
  }
}
