// SPDX-License-Identifier: Apache-2.0
#include "proto/convert.h"

#include <catch2/catch.hpp>

#include "proto/text.h"

namespace csnap {
namespace {

ProtoRanges one(std::uint64_t start, std::uint64_t count) {
  ProtoRanges ranges;
  auto* range = ranges.Add();
  range->set_start(start);
  range->set_count(count);
  return ranges;
}

Code code_of(const ProtoRanges& ranges, std::uint64_t volume = 100, std::uint64_t max = 50) {
  return ranges_from_proto(ranges, volume, max).status().code();
}

TEST_CASE("Ranges inside the volume come through unchanged") {
  const std::vector<ChunkRun> runs{{Chunk(0), 1}, {Chunk(60), 40}};
  ProtoRanges ranges;
  ranges_to_proto(runs, ranges);
  const auto back = ranges_from_proto(ranges, 100, 50);
  REQUIRE(back.ok());
  CHECK(*back == runs);
}

TEST_CASE("Ranges that reach beyond the volume are out of range") {
  CHECK(code_of(one(99, 1)) == Code::ok);
  CHECK(code_of(one(99, 2)) == Code::out_of_range);
  CHECK(code_of(one(100, 1)) == Code::out_of_range);
  CHECK(code_of(one(1ULL << 60, 1)) == Code::out_of_range);
}

TEST_CASE("Counts that overflow are out of range") {
  CHECK(code_of(one(1, ~0ULL)) == Code::out_of_range);
  CHECK(code_of(one(~0ULL, ~0ULL)) == Code::out_of_range);
  CHECK(code_of(one(~0ULL, 1)) == Code::out_of_range);
  CHECK(code_of(one(50, ~0ULL - 48)) == Code::out_of_range);
}

TEST_CASE("A request names at least one chunk and at most the limit") {
  CHECK(code_of(ProtoRanges()) == Code::invalid);
  CHECK(code_of(one(5, 0)) == Code::invalid);
  CHECK(code_of(one(0, 50)) == Code::ok);
  CHECK(code_of(one(0, 51)) == Code::invalid);
  ProtoRanges sum = one(0, 50);
  *sum.Add() = one(60, 1)[0];
  CHECK(code_of(sum) == Code::invalid);
  ProtoRanges many;
  for (int i = 0; i < 51; ++i) *many.Add() = one(0, 1)[0];
  CHECK(code_of(many) == Code::invalid);
}

TEST_CASE("A UUID has 16 bytes on the wire") {
  const Uuid uuid = Uuid::from_random(1, 2);
  const auto back = uuid_from_proto(uuid_to_proto(uuid));
  REQUIRE(back.ok());
  CHECK(*back == uuid);
  CHECK(uuid_from_proto("short").status().code() == Code::invalid);
  CHECK(uuid_from_proto("").status().code() == Code::invalid);
}

TEST_CASE("Text for the wire keeps well-formed characters and nothing else") {
  CHECK(clean_utf8("plain", 100) == "plain");
  CHECK(clean_utf8("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80", 100) ==
        "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80");
  CHECK(clean_utf8("a\nb\x7F\xC2\x85", 100) == "a?b??");
  CHECK(clean_utf8("\xC0\x80|\xED\xA0\x80|\xF4\x90\x80\x80|\xE2\x82", 100) == "??|???|????|\?\?");
}

TEST_CASE("Text for the wire is cut between characters") {
  CHECK(clean_utf8("ab\xE2\x82\xAC", 4) == "ab");
  CHECK(clean_utf8("ab\xE2\x82\xAC", 5) == "ab\xE2\x82\xAC");
}

}  // namespace
}  // namespace csnap
