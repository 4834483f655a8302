// SPDX-License-Identifier: Apache-2.0
// What a receive makes durable, and when, with a real server: what would be there for the next one
// if this one were killed at that moment.
#include "tools/stream/origin_target.h"

#include <catch2/catch.hpp>
#include <vector>

#include "test/stream/receive_rig.h"

namespace csnap {
namespace {

constexpr StreamIdentity kOne{Uuid{{1}}, 7};
constexpr StreamIdentity kTwo{Uuid{{2}}, 9};
constexpr std::uint64_t kMiddle = ReceiveRig::kSize / 2;

std::vector<std::byte> block(unsigned fill) {
  return std::vector<std::byte>(4096, static_cast<std::byte>(fill));
}

}  // namespace

TEST_CASE("what is out of order is not gone on with, also by who comes after a kill") {
  ReceiveRig rig;
  const auto target = rig.target();
  rig.begin(*target, "one", kOne);
  REQUIRE(target->write(kMiddle, block(1)).ok());
  REQUIRE(target->keep().ok());
  REQUIRE(rig.receiving()->resumable);
  Status done;
  SECTION("zeros") { done = target->zero(0, 4096); }
  SECTION("a clone") { done = target->clone(std::nullopt, "volume.img", kMiddle, 0, 4096); }
  SECTION("a write before the last one") { done = target->write(0, block(2)); }
  REQUIRE(done.ok());
  CHECK_FALSE(rig.receiving()->resumable);
  CHECK_FALSE(target->token());
}

TEST_CASE("a flush that works after one that failed is not believed") {
  ReceiveRig rig;
  const auto target = rig.target();
  rig.begin(*target, "one", kOne);
  REQUIRE(target->write(0, block(1)).ok());
  REQUIRE(target->keep().ok());
  REQUIRE(target->write(4096, block(2)).ok());
  rig.fail_flushes(true);
  CHECK(target->keep().code() == Code::io_error);
  rig.fail_flushes(false);
  CHECK(target->keep().code() == Code::io_error);
  CHECK(target->finish().code() == Code::io_error);
  CHECK(rig.receiving()->offset == 4096);
  CHECK(rig.receiving()->resumable);
}

TEST_CASE("what a stream begins with is durable before it can be gone on with") {
  ReceiveRig rig;
  rig.write("origin", 0, std::byte{1});
  const auto target = rig.target(true);
  rig.fail_flushes(true);
  CHECK(target->begin({"one", kOne, std::nullopt, std::nullopt}).status().code() == Code::io_error);
  CHECK_FALSE(rig.receiving()->resumable);
}

TEST_CASE("another snapshot is not taken for the one that could not be made") {
  ReceiveRig rig;
  rig.receive("one", kOne, std::byte{1});
  REQUIRE(rig.admin().create("other").ok());
  const auto target = rig.target(true);
  rig.begin(*target, "two", kOne);
  REQUIRE(target->write(0, block(2)).ok());
  SECTION("the name") { REQUIRE(rig.admin().rename("other", "two").ok()); }
  SECTION("the name and what it was received as") {
    REQUIRE(rig.admin().rename("one", "two").ok());
  }
  CHECK(target->finish().code() == Code::exists);
  CHECK(rig.receiving());
}

}  // namespace csnap
