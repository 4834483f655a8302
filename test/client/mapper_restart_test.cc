// SPDX-License-Identifier: Apache-2.0
// What becomes of a session when the server comes back anew, or is another one.
#include "store/device_identity.h"
#include "test/client/mapper_rig.h"

namespace csnap {

using Known = MapperRig::Known;

TEST_CASE("After a restart locks are uploaded, then what was not answered is asked again") {
  MapperRig rig(false);
  rig.connect();
  const auto held = rig.read(1, 4);
  rig.grant_read(11, true);
  const auto asked = rig.read(8, 1);
  REQUIRE(rig.sent().size() == 1);
  rig.mapper->disconnected();
  rig.connect(Known::restarted);
  const auto sent = rig.sent();
  REQUIRE(sent.size() == 2);
  const auto [locks_id, locks] =
      MapperRig::parsed<wire::UploadLocks>(sent[0], wire::MESSAGE_UPLOAD_LOCKS);
  REQUIRE(locks.reads_size() == 1);
  CHECK(locks.reads(0).read_id() == 11);
  REQUIRE(locks.reads(0).ranges_size() == 1);
  CHECK(locks.reads(0).ranges(0).start() == 1);
  CHECK(locks.reads(0).ranges(0).count() == 4);
  const auto done_id =
      MapperRig::parsed<wire::UploadDone>(sent[1], wire::MESSAGE_UPLOAD_DONE).first;
  rig.mapper->finish_read(held->mapping.handle);
  CHECK(rig.sent().empty());  // nothing else before both are answered
  rig.reply(wire::MESSAGE_UPLOAD_LOCKS_REPLY, locks_id, wire::UploadLocksReply());
  rig.reply(wire::MESSAGE_UPLOAD_DONE_REPLY, done_id, wire::UploadDoneReply());
  CHECK(rig.host.now.read_generation == held->mapping.generation);
  CHECK(rig.host.drains == 0);  // what is unique stays so
  const auto after = rig.sent();
  REQUIRE(after.size() == 2);
  CHECK(after[0].header.type == wire::MESSAGE_SNAPSHOT_READ);
  CHECK(after[1].header.type == wire::MESSAGE_FINISH_READ);
}

TEST_CASE("Locks that the new server refuses void what is read under them") {
  MapperRig rig(false);
  rig.connect();
  const auto held = rig.read(1, 4);
  rig.grant_read(11, true);
  rig.mapper->disconnected();
  rig.connect(Known::restarted);
  const auto sent = rig.sent();
  wire::UploadLocksReply reply;
  reply.add_refused(11);
  rig.reply(wire::MESSAGE_UPLOAD_LOCKS_REPLY, sent.at(0).header.request_id, reply);
  CHECK(rig.host.now.read_generation > held->mapping.generation);
}

TEST_CASE("After a restart reads in the store end before the upload does") {
  MapperRig rig(false);
  rig.connect();
  const auto held = rig.read(1, 4);
  rig.grant_read(11, false);
  rig.mapper->disconnected();
  rig.connect(Known::restarted);
  CHECK(rig.sent().empty());
  rig.mapper->finish_read(held->mapping.handle);
  rig.expect<wire::UploadDone>(wire::MESSAGE_UPLOAD_DONE);
}

TEST_CASE("After a restart provisional writes run dry and are done again from the start") {
  MapperRig rig(false);
  rig.connect();
  const auto writing = rig.write(1, 4, true);
  rig.grant_write(true);
  const auto finishing = rig.write(10, 1, true);
  rig.grant_write(true);
  const auto unanswered = rig.finish_write(finishing->mapping);
  REQUIRE(rig.sent().size() == 1);
  rig.mapper->disconnected();
  CHECK_FALSE(unanswered->done);
  rig.connect(Known::restarted);
  CHECK(unanswered->status.code() == Code::stale);
  CHECK(rig.host.now.write_generation > writing->mapping.generation);
  CHECK(rig.sent().empty());  // one is still writing to a place of before
  const auto late = rig.finish_write(writing->mapping);
  CHECK(late->status.code() == Code::stale);
  rig.expect<wire::UploadDone>(wire::MESSAGE_UPLOAD_DONE);
}

TEST_CASE("An upload that was cut off is done again even if the server has resumed the session") {
  MapperRig rig(false);
  rig.connect();
  rig.mapper->disconnected();
  rig.connect(Known::restarted);
  rig.expect<wire::UploadDone>(wire::MESSAGE_UPLOAD_DONE);
  rig.mapper->disconnected();
  rig.connect(Known::resumed);
  const auto id = rig.expect<wire::UploadDone>(wire::MESSAGE_UPLOAD_DONE).first;
  rig.reply(wire::MESSAGE_UPLOAD_DONE_REPLY, id, wire::UploadDoneReply());
  CHECK(rig.mapper->ready());
}

TEST_CASE("A server of another store ends the volume") {
  MapperRig rig;
  rig.connect();
  rig.mapper->disconnected();
  rig.mapper->connected(rig.time);
  const auto id = rig.expect<wire::Hello>(wire::MESSAGE_HELLO).first;
  auto other = rig.welcome();
  other.set_store(uuid_to_proto(Uuid::from_random(99, 99)));
  rig.reply(wire::MESSAGE_WELCOME, id, other);
  CHECK(rig.host.end.code() == Code::stale);
}

TEST_CASE("A server that has moved to another origin ends the volume") {
  MapperRig rig;
  const auto at = [](std::uint64_t inode, std::uint64_t size, const char* host) {
    DeviceIdentity identity;
    identity.size = size;
    identity.host = host;
    identity.inode = inode;
    return identity.to_string();
  };
  const auto welcomed_with = [&](const std::string& origin, const std::string& store) {
    rig.mapper->disconnected();
    rig.mapper->connected(rig.time);
    const auto id = rig.expect<wire::Hello>(wire::MESSAGE_HELLO).first;
    auto welcome = rig.welcome();
    const auto add = [&](wire::DeviceInfo::Kind kind, const std::string& identity) {
      auto* device = welcome.add_devices();
      device->set_kind(kind);
      device->set_identity(identity);
    };
    add(wire::DeviceInfo::KIND_ORIGIN, origin);
    add(wire::DeviceInfo::KIND_STORE, store);
    welcome.set_resumed(true);
    rig.reply(wire::MESSAGE_WELCOME, id, welcome);
  };
  rig.connect();
  welcomed_with(at(7, 1 << 20, "here"), at(8, 1 << 20, "here"));
  welcomed_with(at(7, 1 << 20, "here"), at(9, 1 << 20, "here"));  // who writes the origin has none
  welcomed_with(at(1, 1 << 20, "there"), at(1, 2 << 20, "there"));  // a standby
  CHECK(rig.host.end.ok());
  welcomed_with(at(2, 1 << 20, "there"), at(1, 2 << 20, "there"));
  CHECK(rig.host.end.code() == Code::stale);
}

}  // namespace csnap
