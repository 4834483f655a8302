// SPDX-License-Identifier: Apache-2.0
// What a client can do wrong, and that it hurts nobody else.
#include <random>

#include "test/service/service_rig.h"

namespace csnap {
namespace {

std::vector<std::byte> raw_frame(std::uint32_t length, std::uint16_t type, std::uint16_t flags,
                                 const std::string& body = {}) {
  std::vector<std::byte> bytes(kFrameHeaderSize);
  encode_header({length, type, flags, 5}, std::span(bytes).first<kFrameHeaderSize>());
  for (const char c : body) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

TEST_CASE("A frame over one MiB ends the connection with a clear error") {
  ServiceRig rig;
  const auto bystander = rig.open(rig.new_uuid());
  const auto c = rig.open(rig.new_uuid());
  rig.send_raw(c, raw_frame((1u << 20) + 1, wire::MESSAGE_UNIQUE, 0));
  CHECK(rig.expect_error(c, wire::ERROR_CORRUPT).find("1048577") != std::string::npos);
  CHECK(rig.closed(c));
  CHECK_FALSE(rig.closed(bystander));
  rig.check_others_are_served();
}

TEST_CASE("Unknown flags end the connection with a clear error") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  rig.send_raw(c, raw_frame(0, wire::MESSAGE_HEARTBEAT, 0x80));
  CHECK(rig.expect_error(c, wire::ERROR_CORRUPT).find("flags") != std::string::npos);
  CHECK(rig.closed(c));
  rig.check_others_are_served();
}

TEST_CASE("A message of an unknown type is refused and the connection goes on") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  rig.send_raw(c, raw_frame(3, 4711, 0, "abc"));
  CHECK(rig.expect_error(c, wire::ERROR_UNSUPPORTED).find("4711") != std::string::npos);
  rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(3, 4));
  rig.expect(c, wire::MESSAGE_UNIQUE_REPLY);
  rig.check_others_are_served();
}

TEST_CASE("Messages that only a server sends are refused") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  for (const auto type : {wire::MESSAGE_WELCOME, wire::MESSAGE_UNIQUE_REPLY, wire::MESSAGE_EVICT,
                          wire::MESSAGE_ERROR, wire::MESSAGE_BARRIER_BEGIN}) {
    rig.send(c, type, wire::Heartbeat());
    rig.expect_error(c, wire::ERROR_INVALID);
  }
  rig.send_raw(c, raw_frame(0, wire::MESSAGE_HEARTBEAT, frame_flags::kPush));
  rig.expect_error(c, wire::ERROR_INVALID);
  rig.send_raw(c, raw_frame(0, wire::MESSAGE_UNIQUE, frame_flags::kReply));
  rig.expect_error(c, wire::ERROR_INVALID);
  CHECK_FALSE(rig.closed(c));
}

TEST_CASE("An unknown required feature is refused by its number") {
  ServiceRig rig;
  const auto c = rig.connect();
  auto hello = rig.hello(rig.new_uuid());
  hello.set_features_supported(1ULL << 63 | 1ULL << 5);
  hello.set_features_required(1ULL << 63 | 1ULL << 5);
  rig.send(c, wire::MESSAGE_HELLO, hello);
  CHECK(rig.expect_error(c, wire::ERROR_UNSUPPORTED).find("5, 63") != std::string::npos);
  CHECK_FALSE(rig.closed(c));
  hello.set_features_required(0);
  rig.send(c, wire::MESSAGE_HELLO, hello);
  CHECK(rig.expect(c, wire::MESSAGE_WELCOME).as<wire::Welcome>().features() == 0);
}

TEST_CASE("A client without a protocol version is refused and a newer one is spoken down to") {
  ServiceRig rig;
  const auto c = rig.connect();
  auto hello = rig.hello(rig.new_uuid());
  hello.set_protocol_version(0);
  rig.send(c, wire::MESSAGE_HELLO, hello);
  rig.expect_error(c, wire::ERROR_UNSUPPORTED);
  hello.set_protocol_version(1000);
  rig.send(c, wire::MESSAGE_HELLO, hello);
  const auto welcome = rig.expect(c, wire::MESSAGE_WELCOME).as<wire::Welcome>();
  CHECK(welcome.protocol_version() == kProtocolVersion);
}

TEST_CASE("Ranges outside the volume and counts that overflow are refused") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto origin = rig.open(rig.new_uuid());
  const auto reader = rig.open(rig.new_uuid(), snapshot.id());
  const std::pair<std::uint64_t, std::uint64_t> bad[] = {{ServiceRig::kChunks, 1},
                                                         {ServiceRig::kChunks - 1, 2},
                                                         {1, ~0ULL},
                                                         {~0ULL, ~0ULL},
                                                         {~0ULL, 1},
                                                         {1ULL << 63, 1ULL << 63}};
  for (const auto& [start, count] : bad) {
    rig.send(origin, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(start, count));
    rig.expect_error(origin, wire::ERROR_OUT_OF_RANGE);
    rig.send(reader, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(start, count));
    rig.expect_error(reader, wire::ERROR_OUT_OF_RANGE);
    rig.send(reader, wire::MESSAGE_SNAPSHOT_WRITE, with_range<wire::SnapshotWrite>(start, count));
    rig.expect_error(reader, wire::ERROR_OUT_OF_RANGE);
    wire::FinishWrite finish;
    finish.add_runs()->set_start(start);
    finish.mutable_runs(0)->set_count(count);
    rig.send(reader, wire::MESSAGE_FINISH_WRITE, finish);
    rig.expect_error(reader, wire::ERROR_OUT_OF_RANGE);
  }
  rig.send(origin, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(5, 0));
  rig.expect_error(origin, wire::ERROR_INVALID);
  rig.send(origin, wire::MESSAGE_UNIQUE, wire::UniqueRequest());
  rig.expect_error(origin, wire::ERROR_INVALID);
  rig.check_others_are_served();
}

TEST_CASE("A request for more chunks than the limit is refused") {
  auto options = ServiceRig::default_options();
  options.max_request_chunks = 16;
  ServiceRig rig(options);
  const auto c = rig.open(rig.new_uuid());
  rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 17));
  CHECK(rig.expect_error(c, wire::ERROR_INVALID).find("16") != std::string::npos);
  rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 16));
  rig.expect(c, wire::MESSAGE_UNIQUE_REPLY);
}

TEST_CASE("A message before HELLO ends the connection with a clear error") {
  ServiceRig rig;
  const auto c = rig.connect();
  rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 1));
  CHECK(rig.expect_error(c, wire::ERROR_INVALID).find("HELLO") != std::string::npos);
  CHECK(rig.closed(c));
  rig.check_others_are_served();
}

TEST_CASE("A second HELLO is refused and the session goes on") {
  ServiceRig rig;
  const auto session = rig.new_uuid();
  const auto c = rig.open(session);
  rig.send(c, wire::MESSAGE_HELLO, rig.hello(session));
  rig.expect_error(c, wire::ERROR_INVALID);
  rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(3, 4));
  rig.expect(c, wire::MESSAGE_UNIQUE_REPLY);
}

TEST_CASE("A body that is no protobuf message is refused and the connection goes on") {
  ServiceRig rig;
  const auto c = rig.open(rig.new_uuid());
  rig.send_raw(c, raw_frame(4, wire::MESSAGE_UNIQUE, 0, "\xFF\xFF\xFF\xFF"));
  CHECK(rig.expect_error(c, wire::ERROR_CORRUPT).find("UNIQUE") != std::string::npos);
  rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(3, 4));
  rig.expect(c, wire::MESSAGE_UNIQUE_REPLY);
}

TEST_CASE("Opening a snapshot that never was is not found and one that is gone is stale") {
  ServiceRig rig;
  const auto snapshot = rig.create("gone");
  const auto admin = rig.open_admin();
  wire::DeleteSnapshot remove;
  remove.set_name("gone");
  rig.send(admin, wire::MESSAGE_DELETE_SNAPSHOT, remove);
  rig.expect(admin, wire::MESSAGE_DELETE_SNAPSHOT_REPLY);
  const auto c = rig.connect();
  rig.send(c, wire::MESSAGE_HELLO, rig.hello(rig.new_uuid(), snapshot.id()));
  rig.expect_error(c, wire::ERROR_STALE);
  rig.send(c, wire::MESSAGE_HELLO, rig.hello(rig.new_uuid(), 999));
  rig.expect_error(c, wire::ERROR_NOT_FOUND);
  auto by_name = rig.hello(rig.new_uuid());
  by_name.mutable_volume()->set_snapshot_name("gone");
  rig.send(c, wire::MESSAGE_HELLO, by_name);
  rig.expect_error(c, wire::ERROR_NOT_FOUND);
  CHECK_FALSE(rig.closed(c));
  rig.send(c, wire::MESSAGE_HELLO, rig.hello(rig.new_uuid()));
  rig.expect(c, wire::MESSAGE_WELCOME);
}

TEST_CASE("A Hello that does not say who or what is refused") {
  ServiceRig rig;
  const auto c = rig.connect({});
  auto hello = rig.hello(rig.new_uuid());
  hello.clear_role();
  rig.send(c, wire::MESSAGE_HELLO, hello);
  rig.expect_error(c, wire::ERROR_INVALID);
  hello = rig.hello(rig.new_uuid());
  hello.clear_volume();
  rig.send(c, wire::MESSAGE_HELLO, hello);
  rig.expect_error(c, wire::ERROR_INVALID);
  hello = rig.hello(rig.new_uuid());
  hello.set_session("short");
  rig.send(c, wire::MESSAGE_HELLO, hello);
  rig.expect_error(c, wire::ERROR_INVALID);
  rig.send(c, wire::MESSAGE_HELLO, rig.hello(Uuid()));
  rig.expect_error(c, wire::ERROR_INVALID);
  hello = rig.hello(rig.new_uuid());
  hello.set_store(uuid_to_proto(rig.new_uuid()));
  rig.send(c, wire::MESSAGE_HELLO, hello);
  rig.expect_error(c, wire::ERROR_NOT_FOUND);
  hello.set_role(wire::ROLE_ADMIN);
  hello.clear_store();
  rig.send(c, wire::MESSAGE_HELLO, hello);
  rig.expect_error(c, wire::ERROR_DENIED);
  CHECK(rig.service().sessions() == 0);
}

TEST_CASE("Requests that do not fit the role are denied") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto admin = rig.open_admin();
  rig.send(admin, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 1));
  rig.expect_error(admin, wire::ERROR_DENIED);
  const auto volume = rig.open(rig.new_uuid());
  rig.send(volume, wire::MESSAGE_CREATE_SNAPSHOT, wire::CreateSnapshot());
  rig.expect_error(volume, wire::ERROR_DENIED);
  rig.send(volume, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(0, 1));
  rig.expect_error(volume, wire::ERROR_INVALID);
  const auto reader = rig.connect();
  auto hello = rig.hello(rig.new_uuid(), snapshot.id());
  hello.set_read_only(true);
  rig.send(reader, wire::MESSAGE_HELLO, hello);
  CHECK(rig.expect(reader, wire::MESSAGE_WELCOME).as<wire::Welcome>().read_only());
  rig.send(reader, wire::MESSAGE_SNAPSHOT_WRITE, with_range<wire::SnapshotWrite>(0, 1));
  rig.expect_error(reader, wire::ERROR_DENIED);
  rig.send(reader, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(0, 1));
  rig.expect(reader, wire::MESSAGE_SNAPSHOT_READ_REPLY);
}

TEST_CASE("Finishing a write to places that were not granted is stale and changes nothing") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto c = rig.open(rig.new_uuid(), snapshot.id());
  wire::FinishWrite finish;
  auto* run = finish.add_runs();
  run->set_start(3);
  run->set_count(1);
  run->set_store_chunk(2000);
  rig.send(c, wire::MESSAGE_FINISH_WRITE, finish);
  CHECK(rig.expect_error(c, wire::ERROR_INVALID).find("checksums") != std::string::npos);
  run->add_crcs(7);
  rig.send(c, wire::MESSAGE_FINISH_WRITE, finish);
  rig.expect_error(c, wire::ERROR_STALE);
  run->set_store_chunk(~0ULL);
  rig.send(c, wire::MESSAGE_FINISH_WRITE, finish);
  rig.expect_error(c, wire::ERROR_OUT_OF_RANGE);
  CHECK(rig.engine().status().exception_chunks == 0);
}

TEST_CASE("Names that are no names are refused") {
  ServiceRig rig;
  const auto admin = rig.open_admin();
  for (const std::string& name : {std::string(), std::string("a/b"), std::string("origin"),
                                  std::string("a\nb"), std::string(65, 'x')}) {
    wire::CreateSnapshot create;
    create.set_name(name);
    rig.send(admin, wire::MESSAGE_CREATE_SNAPSHOT, create);
    rig.expect_error(admin, wire::ERROR_INVALID);
  }
  CHECK(rig.engine().list().empty());
}

TEST_CASE("A connection on which nobody says Hello is closed in time") {
  ServiceRig rig;
  const auto c = rig.connect();
  rig.pass(2000);
  rig.expect_error(c, wire::ERROR_CANCELLED);
  CHECK(rig.closed(c));
}

TEST_CASE("Garbage of any kind leaves the server serving") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto bystander = rig.open(rig.new_uuid(), snapshot.id());
  for (int round = 0; round < 300; ++round) {
    const int kind = static_cast<int>(random() % 3);
    const auto c = kind == 0   ? rig.connect()
                   : kind == 1 ? rig.open(rig.new_uuid(), random() % 2 ? snapshot.id() : 0)
                               : rig.open_admin();
    for (int i = 0; i < 10 && !rig.closed(c); ++i) {
      std::string body(random() % 40, '\0');
      for (auto& b : body) b = static_cast<char>(random() % (random() % 2 ? 256 : 16));
      // Every type there is and some that are not.
      const auto type = static_cast<std::uint16_t>(random() % 120);
      const auto flags = static_cast<std::uint16_t>(random() % 20 == 0 ? random() % 8 : 0);
      rig.send_raw(c, raw_frame(static_cast<std::uint32_t>(body.size()), type, flags, body));
    }
    if (!rig.closed(c) && random() % 2) rig.disconnect(c);
    rig.send(bystander, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(0, 1));
    const auto granted = rig.expect_reply(bystander, wire::MESSAGE_SNAPSHOT_READ_REPLY);
    wire::FinishRead finish;
    finish.add_read_ids(granted.as<wire::SnapshotReadReply>().read_id());
    rig.send(bystander, wire::MESSAGE_FINISH_READ, finish);
  }
  CHECK_FALSE(rig.closed(bystander));
}

}  // namespace
}  // namespace csnap
