// SPDX-License-Identifier: Apache-2.0
// Connections for streams: when they are handed over, and what comes before.
#include "test/service/service_rig.h"

namespace csnap {
namespace {

wire::Hello stream_hello(bool force = false) {
  wire::Hello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_client_name("sender");
  hello.set_role(wire::ROLE_STREAM);
  hello.mutable_stream()->set_force(force);
  return hello;
}

std::vector<std::byte> hello_bytes() {
  OutputBuffer bytes;
  append_frame(bytes, wire::MESSAGE_HELLO, 0, 1, stream_hello());
  return bytes;
}

}  // namespace

TEST_CASE("A connection for streams is handed over with its Welcome") {
  ServiceRig rig;
  const auto c = rig.connect();
  rig.send(c, wire::MESSAGE_HELLO, stream_hello(true));
  const auto w = rig.expect(c, wire::MESSAGE_WELCOME).as<wire::Welcome>();
  CHECK(w.store() == uuid_to_proto(rig.engine().store_uuid()));
  CHECK(w.devices_size() == 0);
  REQUIRE(rig.streams.count(c) == 1);
  CHECK(rig.streams[c].force);
  CHECK(rig.streams[c].client_name == "sender");
  CHECK_FALSE(rig.closed(c));
  // The service knows nothing of it any more, and takes no offence at what it should not hear.
  CHECK(rig.service().connections() == 0);
  rig.send_raw(c, std::vector<std::byte>(100, std::byte{0xff}));
  rig.disconnect(c);
  rig.check_others_are_served();
}

TEST_CASE("What was to be sent before the Welcome is handed over before it") {
  ServiceRig rig;
  const auto c = rig.connect();
  rig.hold_output(c, true);
  auto refused = stream_hello();
  refused.set_store(uuid_to_proto(rig.new_uuid()));
  rig.send(c, wire::MESSAGE_HELLO, refused);
  rig.send(c, wire::MESSAGE_HELLO, stream_hello());
  rig.expect_error(c, wire::ERROR_NOT_FOUND);
  rig.expect(c, wire::MESSAGE_WELCOME);
  CHECK_FALSE(rig.streams[c].force);
}

TEST_CASE("Bytes that do not wait for the Welcome close the connection") {
  ServiceRig rig;
  const auto c = rig.connect();
  auto bytes = hello_bytes();
  bytes.push_back(std::byte{'b'});
  rig.send_raw(c, bytes);
  CHECK(rig.expect_error(c, wire::ERROR_INVALID).find("WELCOME") != std::string::npos);
  CHECK(rig.closed(c));
  CHECK(rig.streams.empty());
}

TEST_CASE("Streams are for those who may administer, and only while somebody takes them") {
  ServiceRig rig;
  const auto far = rig.connect({}, false);
  rig.send(far, wire::MESSAGE_HELLO, stream_hello());
  rig.expect_error(far, wire::ERROR_DENIED);
  const auto sender = rig.connect({.administer = false, .send_streams = true}, false);
  wire::Hello admin;
  admin.set_protocol_version(kProtocolVersion);
  admin.set_role(wire::ROLE_ADMIN);
  rig.send(sender, wire::MESSAGE_HELLO, admin);
  rig.expect_error(sender, wire::ERROR_DENIED);
  auto to_replica = stream_hello();
  to_replica.mutable_stream()->set_replica(true);
  rig.send(sender, wire::MESSAGE_HELLO, to_replica);
  REQUIRE(rig.streams.count(sender) == 1);
  CHECK(rig.streams[sender].replica);
  CHECK_FALSE(rig.streams[sender].force);
  rig.streams.clear();

  const auto c = rig.connect();
  rig.stream_refused = Status(Code::busy, "enough");
  rig.send(c, wire::MESSAGE_HELLO, stream_hello());
  rig.expect_error(c, wire::ERROR_BUSY);
  rig.stream_refused = Status();
  rig.service().drain();
  rig.send(c, wire::MESSAGE_HELLO, stream_hello());
  rig.expect_error(c, wire::ERROR_UNAVAILABLE);
  CHECK(rig.streams.empty());
  CHECK_FALSE(rig.closed(c));
}

}  // namespace csnap
