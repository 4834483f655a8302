// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <map>
#include <set>

#include "tools/bench/latencies.h"
#include "tools/bench/places.h"

namespace csnap {

TEST_CASE("Percentiles are at most 1.6 % too high") {
  Latencies latencies;
  for (std::uint64_t ns = 1; ns <= 100'000; ++ns) latencies.add(ns * 10);
  CHECK(latencies.count() == 100'000);
  CHECK(latencies.max() == 1'000'000);
  CHECK(latencies.mean() == Approx(500'005));
  for (const double share : {0.001, 0.5, 0.99, 0.999}) {
    const double right = share * 1e6, got = static_cast<double>(latencies.at(share));
    CHECK(got >= right * 0.9999);
    CHECK(got <= right * 1.017);
  }
  CHECK(latencies.at(1) == 1'000'000);
  CHECK(Latencies().at(0.5) == 0);
}

TEST_CASE("Latencies of two are added up") {
  Latencies a, b;
  a.add(5);
  b.add(~std::uint64_t{0});
  a.add(b);
  CHECK(a.count() == 2);
  CHECK(a.at(0.5) == 5);
  CHECK(a.at(1) == ~std::uint64_t{0});
}

TEST_CASE("The pattern once names every place once, and not in order") {
  for (const std::uint64_t chunks : {1, 2, 3, 64, 1000, 4097}) {
    Places places(Pattern::once, chunks, 1, 7);
    std::set<std::uint64_t> seen;
    std::uint64_t in_order = 0, last = 0;
    while (const auto run = places.next()) {
      REQUIRE(run->count == 1);
      REQUIRE(run->start.value < chunks);
      REQUIRE(seen.insert(run->start.value).second);
      in_order += run->start.value == last + 1;
      last = run->start.value;
    }
    CHECK(seen.size() == chunks);
    if (chunks > 100) CHECK(in_order < chunks / 10);
  }
}

TEST_CASE("Runs lie at multiples of their length, within the volume") {
  for (const Pattern pattern :
       {Pattern::uniform, Pattern::zipfian, Pattern::sequential, Pattern::once}) {
    Places places(pattern, 1000, 64, 3);
    for (int i = 0; i < 15; ++i) {
      const auto run = places.next();
      REQUIRE(run);
      CHECK(run->count == 64);
      CHECK(run->start.value % 64 == 0);
      CHECK(run->end().value <= 1000);
    }
  }
}

TEST_CASE("A zipfian pattern asks for the first place about as often as it should") {
  constexpr std::uint64_t kPlaces = 1000, kAsked = 200'000;
  Places places(Pattern::zipfian, kPlaces, 1, 3);
  std::map<std::uint64_t, std::uint64_t> asked;
  for (std::uint64_t i = 0; i < kAsked; ++i) ++asked[places.next()->start.value];
  std::uint64_t most = 0;
  for (const auto& [place, times] : asked) most = std::max(most, times);
  // 1 / sum over k of k^-0.99 = 0.1295 for a thousand places.
  CHECK(static_cast<double>(most) / kAsked == Approx(0.1295).epsilon(0.05));
}

}  // namespace csnap
