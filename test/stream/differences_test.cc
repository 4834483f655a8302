// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/differences.h"

#include <catch2/catch.hpp>
#include <random>

namespace csnap {
namespace {

using Lines = std::vector<Admin::ExceptionLine>;

constexpr std::uint64_t kChunks = 200;

bool same_for(const Lines& lines, std::uint64_t chunk, ShareMask a, ShareMask b) {
  std::uint64_t place_a = 0, place_b = 0;  // 0: the origin
  for (const auto& line : lines) {
    if (chunk < line.start || chunk >= line.start + line.count) continue;
    const std::uint64_t place = 1 + line.store_chunk + chunk - line.start;
    if (line.mask & a) place_a = place;
    if (line.mask & b) place_b = place;
  }
  return place_a == place_b;
}

}  // namespace

TEST_CASE("chunks differ as a naive twin says, however the pages are cut") {
  const unsigned seed = GENERATE(range(0u, 50u));
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Lines lines;
  std::uint64_t place = 0;
  for (std::uint64_t chunk = random() % 4; chunk < kChunks;) {
    const std::uint64_t count = 1 + random() % 5;
    ShareMask free = 0xF;
    for (int n = static_cast<int>(1 + random() % 3); n > 0 && free != 0; --n) {
      const ShareMask mask = free & random();
      if (mask == 0) continue;
      free &= ~mask;
      lines.push_back({chunk, count, place += 1000, mask});
    }
    chunk += count + (random() % 3 == 0 ? random() % 10 : 0);
  }
  const ShareMask a = 1, b = GENERATE(ShareMask{2}, ShareMask{0});
  Differences differences(a, b);
  std::vector<bool> differ(kChunks + 10);
  const auto note = [&](const std::vector<ChunkRun>& runs) {
    for (const ChunkRun& run : runs)
      for (Chunk c = run.start; c < run.end(); ++c) {
        CHECK_FALSE(differ[c.value]);
        differ[c.value] = true;
      }
  };
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t n = std::min<std::size_t>(1 + random() % 4, lines.size() - at);
    REQUIRE(
        differences
            .add({lines.begin() + static_cast<long>(at), lines.begin() + static_cast<long>(at + n)})
            .ok());
    note(differences.take(false));
    at += n;
  }
  note(differences.take(true));
  for (std::uint64_t c = 0; c < differ.size(); ++c) {
    INFO("chunk " << c);
    CHECK(differ[c] != same_for(lines, c, a, b));
  }
}

TEST_CASE("neighbours that differ are one run") {
  Differences differences(1, 2);
  REQUIRE(differences.add({{5, 2, 0, 1}, {7, 1, 9, 2}, {8, 3, 20, 3}, {11, 1, 40, 1}}).ok());
  CHECK(differences.take(true) == std::vector<ChunkRun>{{Chunk(5), 3}, {Chunk(11), 1}});
}

TEST_CASE("exceptions that go back, or that no volume has, are refused") {
  Differences differences(1, 2);
  REQUIRE(differences.add({{5, 2, 0, 1}}).ok());
  const Admin::ExceptionLine line =
      GENERATE(Admin::ExceptionLine{6, 2, 0, 1}, Admin::ExceptionLine{0, 1, 0, 1},
               Admin::ExceptionLine{9, 0, 0, 1}, Admin::ExceptionLine{9, ~0ull, 0, 1},
               Admin::ExceptionLine{~0ull, 1, 0, 1});
  CHECK(differences.add({line}).code() == Code::corrupt);
}

}  // namespace csnap
