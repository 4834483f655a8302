// SPDX-License-Identifier: Apache-2.0
// What the store remembers of streams that are received, and of replicas.
#include <catch2/catch.hpp>

#include "store/replication_codec.h"
#include "test/engine/sessions.h"

namespace csnap {
namespace {

UnfinishedReceive receive_after(const Snapshot& parent) {
  UnfinishedReceive receiving = receive_of("a");
  receiving.parent = StreamIdentity{parent.uuid, parent.transid};
  receiving.parent_id = parent.id;
  return receiving;
}

Code write_one(Rig& rig, ClientKey key) {
  std::optional<Code> told;
  rig.engine().snapshot_write(
      key, {{Chunk(1), 1}}, true,
      [&](const Result<std::vector<WritePiece>>& pieces) { told = pieces.status().code(); });
  rig.until([&] { return told.has_value(); });
  return *told;
}

}  // namespace

TEST_CASE("A receive that was undone is forgotten with the first who may write") {
  for (std::uint64_t turns = 0; turns < 16; ++turns) {
    INFO(turns << " turns");
    Rig rig;
    rig.open();
    leave_receiving(rig, receive_of("a", true));
    REQUIRE(open_session(rig, kReader, kOrigin, Access::read).ok());
    CHECK(replication_now(rig).receiving);
    bool told = false;
    rig.engine().open_client(session_id(kWriter), kOrigin, Access::write,
                             [&](const Result<ClientKey>& key) { told = key.ok(); });
    rig.turns(turns);
    lose_power(rig, turns % 2 != 0);
    const auto absent = rig.engine().absent_clients();
    const bool there = std::ranges::count(absent, session_id(kWriter)) > 0;
    CHECK(replication_now(rig).receiving.has_value() != there);
    if (told) CHECK(there);
  }
}

TEST_CASE("What becomes a replica has no replicas from before") {
  Rig rig;
  rig.open();
  std::optional<Status> told;
  const auto tell = [&](const Status& status) { told = status; };
  const auto now = [&] {
    rig.until([&] { return told.has_value(); });
    REQUIRE(std::exchange(told, std::nullopt)->ok());
    return replication_now(rig).replicas.size();
  };
  const Replica replica{Uuid::from_random(1, 2), "a:1", SnapshotId(1), 1};
  rig.engine().set_replica(replica, tell);
  CHECK(now() == 1);
  rig.engine().set_role(ReplicationRole::primary, tell);
  CHECK(now() == 1);
  rig.engine().set_role(ReplicationRole::replica, tell);
  CHECK(now() == 0);
  // One that has some of its own keeps them.
  rig.engine().set_replica(replica, tell);
  CHECK(now() == 1);
  rig.engine().set_role(ReplicationRole::replica, tell);
  CHECK(now() == 1);
}

TEST_CASE("What the origin would be brought back to is deleted by force only") {
  Rig rig;
  rig.open();
  const auto parent = rig.create("parent");
  REQUIRE(parent.ok());
  UnfinishedReceive receiving = receive_after(*parent);
  const auto receiver = open_session(rig, kReceiver, kOrigin, Access::receive);
  REQUIRE(receiver.ok());
  REQUIRE(set_receiving(rig, receiving).ok());
  CHECK(rig.remove("parent", false).code() == Code::busy);
  receiving.resumable = false;
  receiving.undone = true;
  REQUIRE(set_receiving(rig, receiving).ok());
  CHECK(rig.remove("parent", false).ok());
}

TEST_CASE("What the origin would be brought back to is not written to") {
  Rig rig;
  rig.open();
  const auto parent = rig.create("parent");
  REQUIRE(parent.ok());
  const auto receiving = receive_after(*parent);
  const auto early = open_session(rig, kWriter, parent->id, Access::write);
  REQUIRE(early.ok());
  REQUIRE(open_session(rig, kReceiver, kOrigin, Access::receive).ok());
  REQUIRE(set_receiving(rig, receiving).ok());
  CHECK(outcome(open_session(rig, kOther, parent->id, Access::write)) == Code::denied);
  CHECK(open_session(rig, kReader, parent->id, Access::read).ok());
  CHECK(write_one(rig, *early) == Code::denied);
  CHECK_FALSE(snapshot_now(rig, "parent").written);
  // Also by who comes back after a restart.
  lose_power(rig);
  const auto back = open_session(rig, kWriter, parent->id, Access::write);
  REQUIRE(back.ok());
  CHECK(write_one(rig, *back) == Code::denied);
  REQUIRE(open_session(rig, kReceiver, kOrigin, Access::receive).ok());
  auto undone = receiving;
  undone.undone = true;
  REQUIRE(set_receiving(rig, undone).ok());
  CHECK(write_one(rig, *back) == Code::ok);
  CHECK(snapshot_now(rig, "parent").written);
}

TEST_CASE("A receive begins with a parent that is there and as it was") {
  Rig rig;
  rig.open();
  const auto parent = rig.create("parent");
  REQUIRE(parent.ok());
  const auto writer = open_session(rig, kWriter, parent->id, Access::write);
  REQUIRE(writer.ok());
  REQUIRE(open_session(rig, kReceiver, kOrigin, Access::receive).ok());
  const auto receiving = receive_after(*parent);
  SECTION("it is written to at the same moment") {
    const std::uint64_t between = GENERATE(0, 1, 2, 3, 4);
    std::optional<Code> wrote;
    rig.engine().snapshot_write(
        *writer, {{Chunk(1), 1}}, true,
        [&](const Result<std::vector<WritePiece>>& pieces) { wrote = pieces.status().code(); });
    rig.turns(between);
    const Status began = set_receiving(rig, receiving);
    rig.until([&] { return wrote.has_value(); });
    CHECK(outcome(began) == (*wrote == Code::ok ? Code::stale : Code::ok));
    CHECK(*wrote == (began.ok() ? Code::denied : Code::ok));
  }
  SECTION("it is deleted at the same moment") {
    const std::uint64_t between = GENERATE(0, 1, 2, 3, 4);
    close_session(rig, *writer);
    std::optional<Code> deleted;
    rig.engine().delete_snapshot("parent", false,
                                 [&](const Status& status) { deleted = status.code(); });
    rig.turns(between);
    const Status began = set_receiving(rig, receiving);
    rig.until([&] { return deleted.has_value(); });
    CHECK(outcome(began) == (*deleted == Code::ok ? Code::stale : Code::ok));
    CHECK(*deleted == (began.ok() ? Code::busy : Code::ok));
  }
  SECTION("what goes on, or is given up, asks for nothing") {
    close_session(rig, *writer);
    REQUIRE(set_receiving(rig, receiving).ok());
    REQUIRE(rig.remove("parent", true).ok());
    auto further = receiving;
    further.offset = 4096;
    CHECK(set_receiving(rig, further).ok());
    further.undone = true;
    CHECK(set_receiving(rig, further).ok());
    CHECK(outcome(set_receiving(rig, receiving)) == Code::stale);
  }
}

TEST_CASE("Only the session that receives says what is received") {
  Rig rig;
  rig.open();
  REQUIRE(open_session(rig, kReader, kOrigin, Access::read).ok());
  const auto first = open_session(rig, kReceiver, kOrigin, Access::receive);
  REQUIRE(first.ok());
  CHECK(outcome(set_receiving(rig, receive_of("a"), kReader)) == Code::stale);
  CHECK(outcome(set_receiving(rig, receive_of("a"), kOther)) == Code::stale);
  REQUIRE(set_receiving(rig, receive_of("a")).ok());
  close_session(rig, *first);
  REQUIRE(open_session(rig, kOther, kOrigin, Access::receive).ok());
  REQUIRE(set_receiving(rig, receive_of("b"), kOther).ok());
  CHECK(outcome(set_receiving(rig, receive_of("a"))) == Code::stale);
  CHECK(outcome(create_received(rig, "b")) == Code::stale);
  CHECK(replication_now(rig).receiving == receive_of("b"));
}

TEST_CASE("A received snapshot has its identity from the first moment on") {
  for (std::uint64_t turns = 0; turns < 24; ++turns) {
    INFO(turns << " turns");
    Rig rig;
    rig.open();
    REQUIRE(open_session(rig, kReceiver, kOrigin, Access::receive).ok());
    REQUIRE(set_receiving(rig, receive_of("a")).ok());
    bool told = false;
    rig.engine().create_snapshot("a", session_id(kReceiver),
                                 [&](const Result<Snapshot>& made) { told = made.ok(); });
    rig.turns(turns);
    lose_power(rig, turns % 2 != 0);
    const auto found = rig.engine().find_snapshot("a");
    if (told) CHECK(found.ok());
    CHECK(replication_now(rig).receiving.has_value() == !found.ok());
    if (!found.ok()) continue;
    CHECK_FALSE(found->written);
    REQUIRE(found->received);
    CHECK(found->received->identity == receive_of("a").identity);
    CHECK(found->received->path == "volume.img");
    // Until it is written to.
    const auto key = open_session(rig, kWriter, found->id, Access::write);
    REQUIRE(key.ok());
    bool granted = false;
    rig.engine().snapshot_write(
        *key, {{Chunk(1), 1}}, true,
        [&](const Result<std::vector<WritePiece>>& pieces) { granted = pieces.ok(); });
    rig.until([&] { return granted; });
    lose_power(rig);
    CHECK_FALSE(snapshot_now(rig, "a").received);
  }
}

TEST_CASE("Only what is being received is created as received") {
  Rig rig;
  rig.open();
  const auto receiver = open_session(rig, kReceiver, kOrigin, Access::receive);
  REQUIRE(receiver.ok());
  CHECK(outcome(create_received(rig, "a")) == Code::stale);
  const auto say = [&](const UnfinishedReceive& what) { REQUIRE(set_receiving(rig, what).ok()); };
  say(receive_of("a"));
  CHECK(outcome(create_received(rig, "b")) == Code::stale);
  auto nameless = receive_of("b");
  nameless.path.clear();
  say(nameless);
  CHECK(outcome(create_received(rig, "b")) == Code::stale);
  say(receive_of("b", true));
  CHECK(outcome(create_received(rig, "b")) == Code::stale);
  CHECK(rig.engine().list().empty());
  say(receive_of("b"));
  CHECK(outcome(create_received(rig, "b", kOther)) == Code::stale);
  CHECK(create_received(rig, "b").ok());
  CHECK(outcome(create_received(rig, "b")) == Code::exists);
  CHECK(outcome(create_received(rig, "c")) == Code::stale);
  // What lies between two snapshots becomes none, but what was brought back does.
  say(receive_of("d"));
  CHECK(outcome(rig.create("d")) == Code::busy);
  say(receive_of("d", true));
  const auto brought_back = rig.create("d");
  REQUIRE(brought_back.ok());
  CHECK_FALSE(brought_back->received);
  CHECK(replication_now(rig).receiving);
}

TEST_CASE("So many replicas are known and no more") {
  Rig rig;
  rig.open();
  const auto set = [&](const Replica& replica) {
    Status outcome(Code::internal, "no answer");
    rig.engine().set_replica(replica, [&](const Status& status) { outcome = status; });
    rig.until([&] { return outcome.code() != Code::internal; });
    return outcome.code();
  };
  const auto forget = [&](const Uuid& store) {
    Status outcome(Code::internal, "no answer");
    rig.engine().forget_replica(store, [&](const Status& status) { outcome = status; });
    rig.until([&] { return outcome.code() != Code::internal; });
    return outcome.code();
  };
  for (std::uint64_t i = 0; i < kMaxReplicas; ++i)
    CHECK(set({session_id(i), "there", SnapshotId(1), i}) == Code::ok);
  CHECK(set({session_id(kMaxReplicas), "there", SnapshotId(1), 9}) == Code::no_space);
  CHECK(set({session_id(0), "elsewhere", SnapshotId(2), 9}) == Code::ok);
  CHECK(set({session_id(0), "", SnapshotId(2), 9}) == Code::invalid);
  CHECK(forget(session_id(kMaxReplicas)) == Code::not_found);
  CHECK(forget(session_id(1)) == Code::ok);
  CHECK(set({Uuid(), "there", SnapshotId(2), 9}) == Code::invalid);
  lose_power(rig);
  const auto known = replication_now(rig).replicas;
  REQUIRE(known.size() == kMaxReplicas - 1);
  CHECK(known[0] == Replica{session_id(0), "elsewhere", SnapshotId(2), 9});
  CHECK(set({session_id(kMaxReplicas), "there", SnapshotId(1), 9}) == Code::ok);
}

}  // namespace csnap
