// SPDX-License-Identifier: Apache-2.0
// What a receive makes durable, and when, with a real server: what would be there for the next one
// if this one were killed at that moment.
#include "tools/stream/origin_target.h"

#include <catch2/catch.hpp>
#include <vector>

#include "test/stream/receive_rig.h"
#include "tools/stream/stream_writer.h"

namespace csnap {
namespace {

constexpr StreamIdentity kOne{Uuid{{1}}, 7};
constexpr StreamIdentity kTwo{Uuid{{2}}, 9};
constexpr std::uint64_t kMiddle = ReceiveRig::kSize / 2;

std::vector<std::byte> block(unsigned fill) {
  return std::vector<std::byte>(4096, static_cast<std::byte>(fill));
}

// A whole volume that is full of a byte.
std::vector<std::byte> whole_stream(const std::string& name, const StreamIdentity& identity,
                                    unsigned fill) {
  std::vector<std::byte> bytes;
  StreamWriter writer(bytes);
  writer.header();
  writer.subvolume(name, identity);
  writer.make_file("volume.img");
  for (std::uint64_t at = 0; at < ReceiveRig::kSize; at += 4096)
    writer.write("volume.img", at, block(fill));
  writer.end();
  return bytes;
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
  SECTION("the name") { rig.rename("other", "two"); }
  SECTION("the name and what it was received as") {
    rig.rename("one", "two");
  }
  CHECK(target->finish().code() == Code::exists);
  CHECK(rig.receiving());
}

TEST_CASE("a source of clones that is written to before the end makes no snapshot") {
  ReceiveRig rig;
  rig.receive("one", kOne, std::byte{1});
  const auto target = rig.target(true);
  rig.begin(*target, "two", kTwo);
  REQUIRE(target->clone(kOne, "volume.img", 0, 0, ReceiveRig::kSize).ok());
  const bool written = GENERATE(false, true), sealed = GENERATE(false, true);
  if (written) rig.write("one", 0, std::byte{3});
  if (sealed) REQUIRE(rig.admin().seal("one").ok());
  const Status finished = target->finish();
  if (!written) {
    CHECK(finished.ok());
    CHECK(rig.first_byte("two") == std::byte{1});
    return;
  }
  CHECK(finished.code() == Code::not_found);
  CHECK(finished.message().find("'one'") != std::string::npos);
  CHECK(rig.receiving());
}

TEST_CASE("a stream whose name is taken at its end is kept whole") {
  ReceiveRig rig;
  rig.receive("one", kOne, std::byte{1});
  auto target = rig.target(true);
  const auto outcome = rig.feed(*target, whole_stream("two", kTwo, 2),
                                [&] { rig.rename("one", "two"); });
  CHECK(outcome.status.code() == Code::exists);
  CHECK(outcome.status.message().find("rename one of the two") != std::string::npos);
  REQUIRE(outcome.token);
  CHECK(outcome.token->offset == ReceiveRig::kSize);
  target.reset();
  rig.rename("two", "one");
  std::vector<std::byte> rest;
  StreamWriter writer(rest);
  writer.header();
  writer.snapshot("two", kTwo, kTwo, outcome.token->offset);
  writer.end();
  target = rig.target();
  CHECK(rig.feed(*target, rest).status.ok());
  CHECK(rig.first_byte("two") == std::byte{2});
}

TEST_CASE("a stream whose name is taken is undone where it cannot be gone on with") {
  ReceiveRig rig;
  rig.receive("one", kOne, std::byte{1});
  const auto target = rig.target(true);
  auto bytes = whole_stream("two", kTwo, 2);
  bytes.resize(bytes.size() - sizeof(CommandHeaderDisk));
  StreamWriter writer(bytes);
  writer.write("volume.img", 0, block(3));
  writer.end();
  const auto outcome =
      rig.feed(*target, bytes, [&] { rig.rename("one", "two"); });
  CHECK(outcome.status.code() == Code::exists);
  CHECK_FALSE(outcome.token);
  CHECK(rig.receiving()->undone);
}

}  // namespace csnap
