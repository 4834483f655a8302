// SPDX-License-Identifier: Apache-2.0
#include "proto/plain_ranges.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "proto/csnap.pb.h"

namespace csnap {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::vector<ChunkRun> runs_of(const wire::UniqueRequest& request) {
  std::vector<ChunkRun> runs;
  for (const auto& range : request.ranges()) runs.push_back({Chunk(range.start()), range.count()});
  return runs;
}

}  // namespace

TEST_CASE("Plain ranges are what protobuf reads") {
  std::mt19937_64 random(5);
  for (int i = 0; i < 2000; ++i) {
    wire::UniqueRequest request;
    for (std::uint64_t n = 1 + random() % 5; n > 0; --n) {
      auto* range = request.add_ranges();
      range->set_start(random() >> random() % 64);
      range->set_count(random() >> random() % 64);
      if (random() % 8 == 0) range->clear_start();
      if (random() % 8 == 0) range->clear_count();
    }
    const std::string text = request.SerializeAsString();
    std::vector<ChunkRun> runs;
    REQUIRE(plain_ranges(bytes_of(text), runs));
    REQUIRE(runs == runs_of(request));
  }
}

TEST_CASE("What plain ranges do not understand is left to protobuf") {
  std::mt19937_64 random(6);
  wire::UniqueRequest request;
  request.add_ranges()->set_start(300);
  request.add_ranges()->set_count(1ULL << 40);
  const std::string whole = request.SerializeAsString();
  std::vector<ChunkRun> runs;
  CHECK_FALSE(plain_ranges({}, runs));
  for (int i = 0; i < 20000; ++i) {
    std::string text = whole;
    for (std::uint64_t n = random() % 3; n > 0; --n)
      text[random() % text.size()] = static_cast<char>(random());
    if (random() % 2 == 0) text.resize(random() % (text.size() + 1));
    // Whatever is taken is taken as protobuf would.
    if (!plain_ranges(bytes_of(text), runs)) continue;
    wire::UniqueRequest same;
    INFO(i);
    REQUIRE(same.ParseFromString(text));
    REQUIRE(runs == runs_of(same));
  }
}

}  // namespace csnap
