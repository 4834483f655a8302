// SPDX-License-Identifier: Apache-2.0
// Requests that streams need: what they say, who may ask, and nonsense in them.
#include "test/service/service_rig.h"

namespace csnap {
namespace {

wire::Hello hello_to_receive(const Uuid& session) {
  wire::Hello hello = ServiceRig::hello(session);
  hello.set_receiving(true);
  return hello;
}

wire::Hello hello_to_read(const Uuid& session, std::uint64_t snapshot = 0) {
  wire::Hello hello = ServiceRig::hello(session, snapshot);
  hello.set_read_only(true);
  return hello;
}

ConnectionId say(ServiceRig& rig, const wire::Hello& hello) {
  const ConnectionId c = rig.connect();
  rig.send(c, wire::MESSAGE_HELLO, hello);
  return c;
}

ConnectionId welcome(ServiceRig& rig, const wire::Hello& hello) {
  const ConnectionId c = say(rig, hello);
  rig.expect(c, wire::MESSAGE_WELCOME);
  return c;
}

void goodbye(ServiceRig& rig, ConnectionId c) {
  rig.send(c, wire::MESSAGE_GOODBYE, wire::Goodbye());
  rig.expect_reply(c, wire::MESSAGE_GOODBYE_REPLY);
}

wire::SetReceiving receiving(const std::string& name, const Uuid& session) {
  wire::SetReceiving request;
  request.set_session(uuid_to_proto(session));
  auto& r = *request.mutable_receiving();
  r.set_name(name);
  r.mutable_identity()->set_uuid(std::string(16, 'u'));
  r.mutable_identity()->set_transid(7);
  r.set_path("volume.img");
  return request;
}

wire::SetReplica replica(char store) {
  wire::SetReplica request;
  request.mutable_replica()->set_store(std::string(16, store));
  request.mutable_replica()->set_address("there:7000");
  request.mutable_replica()->set_snapshot(3);
  request.mutable_replica()->set_at_ns(9);
  return request;
}

wire::GetStatusReply status_of(ServiceRig& rig) {
  const auto admin = rig.open_admin();
  rig.send(admin, wire::MESSAGE_GET_STATUS, wire::GetStatus());
  return rig.expect(admin, wire::MESSAGE_GET_STATUS_REPLY).as<wire::GetStatusReply>();
}

wire::SealSnapshot seal_request(const std::string& name) {
  wire::SealSnapshot request;
  request.set_name(name);
  return request;
}

wire::SetRole role_request(wire::ReplicationRole role) {
  wire::SetRole request;
  request.set_role(role);
  return request;
}

}  // namespace

TEST_CASE("A snapshot is sealed once nobody writes to it") {
  ServiceRig rig;
  const auto made = rig.create("a");
  CHECK(made.transid() == made.id());
  CHECK_FALSE(made.written());
  const auto writer = rig.open(rig.new_uuid(), made.id());
  rig.send(writer, wire::MESSAGE_SNAPSHOT_WRITE, with_range<wire::SnapshotWrite>(3, 1));
  rig.expect(writer, wire::MESSAGE_SNAPSHOT_WRITE_REPLY);
  const auto admin = rig.open_admin();
  rig.send(admin, wire::MESSAGE_SEAL_SNAPSHOT, seal_request("a"));
  CHECK(rig.expect_error(admin, wire::ERROR_BUSY).find("'a'") != std::string::npos);
  goodbye(rig, writer);
  welcome(rig, hello_to_read(rig.new_uuid(), made.id()));
  rig.send(admin, wire::MESSAGE_SEAL_SNAPSHOT, seal_request("a"));
  const auto sealed =
      rig.expect(admin, wire::MESSAGE_SEAL_SNAPSHOT_REPLY).as<wire::SealSnapshotReply>().snapshot();
  CHECK(sealed.transid() > made.transid());
  CHECK_FALSE(sealed.written());
  CHECK(sealed.uuid() == made.uuid());
  CHECK(sealed.name() == "a");
  for (const char* nobody : {"b", "", "a/b"}) {
    rig.send(admin, wire::MESSAGE_SEAL_SNAPSHOT, seal_request(nobody));
    rig.expect_error(admin, wire::ERROR_NOT_FOUND);
  }
}

TEST_CASE("Only one receives at a time, and nobody writes meanwhile") {
  ServiceRig rig;
  const auto made = rig.create("a");
  const auto receiver = welcome(rig, hello_to_receive(rig.new_uuid()));
  rig.expect_error(say(rig, hello_to_receive(rig.new_uuid())), wire::ERROR_BUSY);
  const auto writer = say(rig, ServiceRig::hello(rig.new_uuid()));
  rig.expect_error(writer, wire::ERROR_BUSY);
  // The refused one may ask again, for less.
  rig.send(writer, wire::MESSAGE_HELLO, hello_to_read(rig.new_uuid()));
  CHECK(rig.expect(writer, wire::MESSAGE_WELCOME).as<wire::Welcome>().read_only());
  rig.send(writer, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 1));
  rig.expect_error(writer, wire::ERROR_DENIED);
  // To receive is to write.
  rig.send(receiver, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 1));
  rig.expect(receiver, wire::MESSAGE_UNIQUE_REPLY);
  CHECK(rig.service().sessions() == 2);
  goodbye(rig, receiver);
  auto of_snapshot = hello_to_receive(rig.new_uuid());
  of_snapshot.mutable_volume()->set_snapshot_id(made.id());
  rig.expect_error(say(rig, of_snapshot), wire::ERROR_INVALID);
  welcome(rig, ServiceRig::hello(rig.new_uuid()));
  rig.expect_error(say(rig, hello_to_receive(rig.new_uuid())), wire::ERROR_BUSY);
}

TEST_CASE("A session that is resumed may do what it could before and no more") {
  ServiceRig rig;
  const auto reading = rig.new_uuid(), receiving_session = rig.new_uuid();
  rig.disconnect(welcome(rig, hello_to_read(reading)));
  rig.disconnect(welcome(rig, hello_to_receive(receiving_session)));
  SECTION("whatever it says when it comes back") {
    const auto reader = rig.connect();
    CHECK(resume(rig, reader, ServiceRig::hello(reading)).read_only());
    rig.send(reader, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 1));
    rig.expect_error(reader, wire::ERROR_DENIED);
    const auto receiver = rig.connect();
    CHECK_FALSE(resume(rig, receiver, hello_to_read(receiving_session)).read_only());
    rig.expect_error(say(rig, ServiceRig::hello(rig.new_uuid())), wire::ERROR_BUSY);
  }
  SECTION("also after a restart") {
    const auto admin = rig.open_admin();
    rig.send(admin, wire::MESSAGE_SET_RECEIVING, receiving("a", receiving_session));
    rig.expect(admin, wire::MESSAGE_SET_RECEIVING_REPLY);
    rig.restart();
    const auto receiver = rig.connect();
    CHECK(resume(rig, receiver, hello_to_receive(receiving_session)).restarted());
    rig.send(receiver, wire::MESSAGE_UPLOAD_DONE, wire::UploadDone());
    rig.expect_reply(receiver, wire::MESSAGE_UPLOAD_DONE_REPLY);
    rig.expect_error(say(rig, ServiceRig::hello(rig.new_uuid())), wire::ERROR_BUSY);
    const auto again = rig.open_admin();
    rig.send(again, wire::MESSAGE_SET_RECEIVING, receiving("a", receiving_session));
    rig.expect(again, wire::MESSAGE_SET_RECEIVING_REPLY);
  }
  SECTION("but not after one before which it had said nothing") {
    rig.restart();
    const auto receiver = rig.connect();
    auto hello = hello_to_receive(receiving_session);
    hello.set_resume(true);
    rig.send(receiver, wire::MESSAGE_HELLO, hello);
    rig.expect_error(receiver, wire::ERROR_STALE);
  }
}

TEST_CASE("What is being received becomes the identity of its snapshot") {
  ServiceRig rig;
  const auto admin = rig.open_admin();
  const auto session = rig.new_uuid();
  rig.send(admin, wire::MESSAGE_SET_RECEIVING, receiving("a", session));
  rig.expect_error(admin, wire::ERROR_STALE);
  const auto receiver = welcome(rig, hello_to_receive(session));
  rig.send(admin, wire::MESSAGE_SET_RECEIVING, receiving("a", session));
  rig.expect(admin, wire::MESSAGE_SET_RECEIVING_REPLY);
  CHECK(status_of(rig).receiving().SerializeAsString() ==
        receiving("a", session).receiving().SerializeAsString());
  wire::CreateSnapshot create;
  const auto ask = [&](const char* name, const std::string& by) {
    create.set_name(name);
    create.set_receiver(by);
    rig.send(admin, wire::MESSAGE_CREATE_SNAPSHOT, create);
    rig.settle();
    // The receiver is a client of the origin as any other.
    const auto barrier = rig.expect(receiver, wire::MESSAGE_BARRIER_BEGIN).as<wire::BarrierBegin>();
    wire::BarrierDone answer;
    answer.set_barrier(barrier.barrier());
    rig.send(receiver, wire::MESSAGE_BARRIER_DONE, answer);
    rig.settle();
    rig.expect(receiver, wire::MESSAGE_BARRIER_END);
  };
  ask("b", uuid_to_proto(session));
  rig.expect_error(admin, wire::ERROR_STALE);
  ask("a", uuid_to_proto(rig.new_uuid()));
  rig.expect_error(admin, wire::ERROR_STALE);
  ask("a", "");
  rig.expect_error(admin, wire::ERROR_BUSY);
  ask("a", uuid_to_proto(session));
  const auto made = rig.expect(admin, wire::MESSAGE_CREATE_SNAPSHOT_REPLY)
                        .as<wire::CreateSnapshotReply>()
                        .snapshot();
  CHECK(made.received().uuid() == std::string(16, 'u'));
  CHECK(made.received().transid() == 7);
  CHECK(made.received_path() == "volume.img");
  CHECK_FALSE(status_of(rig).has_receiving());
}

TEST_CASE("A role is set, told and kept") {
  ServiceRig rig;
  const auto admin = rig.open_admin();
  const auto writer = welcome(rig, ServiceRig::hello(rig.new_uuid()));
  rig.send(admin, wire::MESSAGE_SET_ROLE, role_request(wire::REPLICATION_REPLICA));
  rig.expect_error(admin, wire::ERROR_BUSY);
  goodbye(rig, writer);
  rig.send(admin, wire::MESSAGE_SET_ROLE, role_request(wire::REPLICATION_REPLICA));
  rig.expect(admin, wire::MESSAGE_SET_ROLE_REPLY);
  rig.restart();
  CHECK(status_of(rig).role() == wire::REPLICATION_REPLICA);
  rig.expect_error(say(rig, ServiceRig::hello(rig.new_uuid())), wire::ERROR_DENIED);
  const auto again = rig.open_admin();
  rig.send(again, wire::MESSAGE_SET_ROLE, role_request(wire::REPLICATION_PRIMARY));
  rig.expect(again, wire::MESSAGE_SET_ROLE_REPLY);
  rig.expect_error(say(rig, hello_to_receive(rig.new_uuid())), wire::ERROR_DENIED);
  CHECK(status_of(rig).role() == wire::REPLICATION_PRIMARY);
}

TEST_CASE("Replicas are set, told and forgotten") {
  ServiceRig rig;
  const auto admin = rig.open_admin();
  rig.send(admin, wire::MESSAGE_SET_REPLICA, replica('r'));
  rig.expect(admin, wire::MESSAGE_SET_REPLICA_REPLY);
  const auto told = status_of(rig);
  REQUIRE(told.replicas_size() == 1);
  CHECK(told.replicas(0).SerializeAsString() == replica('r').replica().SerializeAsString());
  auto forget = replica('s');
  forget.set_forget(true);
  rig.send(admin, wire::MESSAGE_SET_REPLICA, forget);
  rig.expect_error(admin, wire::ERROR_NOT_FOUND);
  forget.mutable_replica()->set_store(std::string(16, 'r'));
  rig.send(admin, wire::MESSAGE_SET_REPLICA, forget);
  rig.expect(admin, wire::MESSAGE_SET_REPLICA_REPLY);
  CHECK(status_of(rig).replicas_size() == 0);
}

TEST_CASE("Nonsense about streams is refused and changes nothing") {
  ServiceRig rig;
  const auto session = rig.new_uuid();
  welcome(rig, hello_to_receive(session));
  const auto admin = rig.open_admin();
  const auto invalid = [&](wire::MessageType type, const google::protobuf::MessageLite& request) {
    rig.send(admin, type, request);
    rig.expect_error(admin, wire::ERROR_INVALID);
  };
  for (const int role : {3, 99, -1})
    invalid(wire::MESSAGE_SET_ROLE, role_request(static_cast<wire::ReplicationRole>(role)));
  const auto wrong_receiving = [&](const auto& spoil) {
    auto request = receiving("a", session);
    spoil(*request.mutable_receiving());
    invalid(wire::MESSAGE_SET_RECEIVING, request);
  };
  wrong_receiving([](wire::Receiving& r) { r.clear_identity(); });
  wrong_receiving([](wire::Receiving& r) { r.mutable_identity()->set_uuid("short"); });
  wrong_receiving([](wire::Receiving& r) { r.mutable_parent()->set_uuid("short"); });
  wrong_receiving([](wire::Receiving& r) { r.set_parent_id(3); });
  wrong_receiving([](wire::Receiving& r) { *r.mutable_parent() = r.identity(); });
  for (const std::string& name : {std::string(), std::string("a/b"), std::string(65, 'x')})
    wrong_receiving([&](wire::Receiving& r) { r.set_name(name); });
  for (const std::string& path : {std::string("a\nb"), std::string(105, 'x')})
    wrong_receiving([&](wire::Receiving& r) { r.set_path(path); });
  wrong_receiving([](wire::Receiving& r) {
    r.set_undone(true);
    r.set_resumable(true);
  });
  auto of_nobody = receiving("a", session);
  of_nobody.set_session("short");
  invalid(wire::MESSAGE_SET_RECEIVING, of_nobody);
  wire::CreateSnapshot by_nobody;
  by_nobody.set_name("a");
  by_nobody.set_receiver("short");
  invalid(wire::MESSAGE_CREATE_SNAPSHOT, by_nobody);
  const auto wrong_replica = [&](const auto& spoil) {
    auto request = replica('r');
    spoil(*request.mutable_replica());
    invalid(wire::MESSAGE_SET_REPLICA, request);
  };
  wrong_replica([](wire::ReplicaInfo& r) { r.set_store("short"); });
  wrong_replica([](wire::ReplicaInfo& r) { r.set_store(std::string(16, '\0')); });
  for (const std::string& address : {std::string(), std::string("a\nb"), std::string(96, 'x')})
    wrong_replica([&](wire::ReplicaInfo& r) { r.set_address(address); });
  invalid(wire::MESSAGE_SET_REPLICA, wire::SetReplica());
  const auto now = status_of(rig);
  CHECK_FALSE(now.has_receiving());
  CHECK(now.replicas_size() == 0);
  CHECK(now.role() == wire::REPLICATION_NONE);
  CHECK_FALSE(rig.closed(admin));
}

TEST_CASE("Only an administrator changes what streams need") {
  ServiceRig rig;
  rig.create("a");
  const auto observer = rig.connect();
  wire::Hello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_role(wire::ROLE_OBSERVER);
  rig.send(observer, wire::MESSAGE_HELLO, hello);
  rig.expect(observer, wire::MESSAGE_WELCOME);
  const auto stranger = rig.connect({.administer = false, .send_streams = true});
  rig.send(stranger, wire::MESSAGE_HELLO, hello_to_receive(rig.new_uuid()));
  rig.expect_error(stranger, wire::ERROR_DENIED);
  const auto receiver = welcome(rig, hello_to_receive(rig.new_uuid()));
  for (const auto c : {observer, receiver}) {
    rig.send(c, wire::MESSAGE_SEAL_SNAPSHOT, seal_request("a"));
    rig.expect_error(c, wire::ERROR_DENIED);
    rig.send(c, wire::MESSAGE_SET_ROLE, role_request(wire::REPLICATION_PRIMARY));
    rig.expect_error(c, wire::ERROR_DENIED);
    rig.send(c, wire::MESSAGE_SET_RECEIVING, receiving("b", rig.new_uuid()));
    rig.expect_error(c, wire::ERROR_DENIED);
    rig.send(c, wire::MESSAGE_SET_REPLICA, replica('r'));
    rig.expect_error(c, wire::ERROR_DENIED);
  }
  CHECK(status_of(rig).role() == wire::REPLICATION_NONE);
}

}  // namespace csnap
