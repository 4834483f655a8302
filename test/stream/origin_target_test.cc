// SPDX-License-Identifier: Apache-2.0
// What a receive makes durable, and when, with a real server: what would be there for the next one
// if this one were killed at that moment.
#include "tools/stream/origin_target.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "test/stream/memory_target.h"
#include "test/stream/receive_rig.h"
#include "tools/stream/sender.h"
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
  SECTION("zeros") {
    done = target->zero(0, 4096);
  }
  SECTION("a clone") {
    done = target->clone(std::nullopt, kMiddle, 0, 4096);
  }
  SECTION("a write before the last one") {
    done = target->write(0, block(2));
  }
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

TEST_CASE("a replica is one before anything is changed, and not when the stream is refused") {
  ReceiveRig rig;
  rig.write("origin", 0, std::byte{1});
  const auto role = [&] { return rig.admin().status()->replication.role; };
  CHECK_FALSE(rig.target(false, true)->begin({"one", kOne, std::nullopt, std::nullopt}).ok());
  CHECK(role() == ReplicationRole::none);
  rig.fail_flushes(true);
  CHECK_FALSE(rig.target(true, true)->begin({"one", kOne, std::nullopt, std::nullopt}).ok());
  CHECK(role() == ReplicationRole::replica);
}

TEST_CASE("what is undone is not undone again") {
  ReceiveRig rig;
  rig.receive("one", kOne, std::byte{1});
  const auto target = rig.target();
  REQUIRE(target->begin({"two", kTwo, kOne, std::nullopt}).ok());
  REQUIRE(target->write(0, block(2)).ok());
  REQUIRE(target->roll_back().ok());
  CHECK(rig.first_byte("origin") == std::byte{1});
  REQUIRE(rig.receiving()->undone);
  rig.fail_flushes(true);
  CHECK(target->roll_back().ok());
  CHECK(rig.receiving()->undone);
}

TEST_CASE("writes behind one that failed fail, too") {
  ReceiveRig rig;
  const auto volume = Volume::open(rig.volume());
  REQUIRE(volume.ok());
  WriteBehind writer(**volume);
  REQUIRE(writer.write(ReceiveRig::kSize, block(1)).ok());
  CHECK(writer.drain().code() == Code::out_of_range);
  CHECK(writer.write(2 * ReceiveRig::kSize, block(1)).code() == Code::out_of_range);
  CHECK(writer.written_below() == 2 * ReceiveRig::kSize + 4096);
  CHECK(writer.drain().code() == Code::out_of_range);
}

TEST_CASE("another snapshot is not taken for the one that could not be made") {
  ReceiveRig rig;
  rig.receive("one", kOne, std::byte{1});
  REQUIRE(rig.admin().create("other").ok());
  const auto target = rig.target(true);
  rig.begin(*target, "two", kOne);
  REQUIRE(target->write(0, block(2)).ok());
  SECTION("the name") {
    rig.rename("other", "two");
  }
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
  REQUIRE(target->clone(kOne, 0, 0, ReceiveRig::kSize).ok());
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

TEST_CASE("a peer that falls silent is cut off, and what came is kept") {
  ReceiveRig rig;
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  ByteInput input(ends[0], "the peer", std::chrono::milliseconds(10));
  StreamReader reader;
  CHECK(await_stream(input, reader).code() == Code::io_error);
  const auto bytes = whole_stream("one", kOne, 1);
  REQUIRE(::write(ends[1], bytes.data(), 20'000) == 20'000);
  REQUIRE(await_stream(input, reader).ok());
  const auto target = rig.target();
  const auto outcome = receive_streams(input, reader, *target, [](std::uint64_t) {});
  CHECK(outcome.status.code() == Code::io_error);
  REQUIRE(outcome.token);
  CHECK(outcome.token->offset == 4 * 4096);
  CHECK(rig.receiving()->resumable);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("who sends a volume of zeros gives signs of life, which do not matter") {
  ReceiveRig rig;
  rig.write("origin", 0, std::byte{0});  // no hole: those are not even read
  REQUIRE(rig.admin().create("one").ok());
  SendOptions options;
  options.addresses = rig.volume().addresses;
  options.name = "one";
  options.sign_of_life = std::chrono::milliseconds(GENERATE(0, 60'000));
  const auto sender = Sender::prepare(rig.admin(), options);
  REQUIRE(sender.ok());
  std::vector<std::byte> bytes;
  ByteOutput output(
      [&](std::span<const std::byte> more) {
        bytes.insert(bytes.end(), more.begin(), more.end());
        return Status();
      },
      {});
  REQUIRE((*sender)->send(output, [](std::uint64_t) {}).ok());
  MemoryTarget target(ReceiveRig::kSize);
  StreamApplier applier(target);
  CHECK(apply_stream(bytes, bytes.size(), applier).ok());
  // Besides what is ignored at the end.
  CHECK(applier.counts().ignored == (options.sign_of_life.count() == 0 ? 3 : 2));
}

TEST_CASE("what a stream calls things is no text for logs and terminals") {
  ReceiveRig rig;
  auto bytes = whole_stream("one", kOne, 1);
  bytes.resize(bytes.size() - sizeof(CommandHeaderDisk));
  StreamWriter(bytes).write("\x1b[2J\n\xff", 0, block(2));
  const auto outcome = rig.feed(*rig.target(), bytes);
  CHECK(outcome.status.code() == Code::corrupt);
  CHECK(outcome.status.message().find("WRITE to ?[2J??, which") != std::string::npos);
}

TEST_CASE("a stream whose name is taken at its end is kept whole") {
  ReceiveRig rig;
  rig.receive("one", kOne, std::byte{1});
  auto target = rig.target(true);
  const auto outcome =
      rig.feed(*target, whole_stream("two", kTwo, 2), [&] { rig.rename("one", "two"); });
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
  const auto outcome = rig.feed(*target, bytes, [&] { rig.rename("one", "two"); });
  CHECK(outcome.status.code() == Code::exists);
  CHECK_FALSE(outcome.token);
  CHECK(rig.receiving()->undone);
}

}  // namespace csnap
