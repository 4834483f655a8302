// SPDX-License-Identifier: Apache-2.0
// Who is let in to the origin: writers, receivers, and what the role of the volume says.
#include <catch2/catch.hpp>

#include "test/engine/sessions.h"

namespace csnap {
namespace {

// What comes of this while that is asked for in the same turn, or a few later.
struct Race {
  std::optional<Result<ClientKey>> opened[2];
  std::optional<Status> role;

  void open(Rig& rig, int slot, Access access) {
    rig.engine().open_client(
        session_id(10 + static_cast<std::uint64_t>(slot)), kOrigin, access,
        [this, slot](Result<ClientKey> key) { opened[slot] = std::move(key); });
  }
  void set(Rig& rig, ReplicationRole to) {
    rig.engine().set_role(to, [this](const Status& status) { role = status; });
  }
};

}  // namespace

TEST_CASE("Who writes the origin and who receives into it keep each other out") {
  Rig rig;
  rig.open();
  SECTION("one of them at a time") {
    const Access first = GENERATE(Access::write, Access::receive);
    const auto key = open_session(rig, kOther, kOrigin, first);
    REQUIRE(key.ok());
    CHECK(outcome(open_session(rig, kWriter, kOrigin, Access::write)) ==
          (first == Access::write ? Code::ok : Code::busy));
    CHECK(outcome(open_session(rig, kReceiver, kOrigin, Access::receive)) == Code::busy);
    CHECK(open_session(rig, kReader, kOrigin, Access::read).ok());
    close_session(rig, *key);
  }
  SECTION("readers are let in always") {
    REQUIRE(open_session(rig, kReader, kOrigin, Access::read).ok());
    const auto key = open_session(rig, kReceiver, kOrigin, Access::receive);
    REQUIRE(key.ok());
    close_session(rig, *key);
    CHECK(open_session(rig, kWriter, kOrigin, Access::write).ok());
  }
  SECTION("snapshots are not received into") {
    const auto made = rig.create("a");
    REQUIRE(made.ok());
    CHECK(outcome(open_session(rig, kReceiver, made->id, Access::receive)) == Code::invalid);
  }
}

TEST_CASE("A role says who is let in, also after a restart") {
  struct Row {
    ReplicationRole role;
    Code write, receive;
  };
  const Row row = GENERATE(Row{ReplicationRole::none, Code::ok, Code::ok},
                           Row{ReplicationRole::primary, Code::ok, Code::denied},
                           Row{ReplicationRole::replica, Code::denied, Code::ok});
  Rig rig;
  rig.open();
  REQUIRE(set_role(rig, row.role).ok());
  if (GENERATE(false, true)) lose_power(rig);
  CHECK(replication_now(rig).role == row.role);
  const auto receiver = open_session(rig, kReceiver, kOrigin, Access::receive);
  CHECK(outcome(receiver) == row.receive);
  if (receiver.ok()) close_session(rig, *receiver);
  const auto writer = open_session(rig, kWriter, kOrigin, Access::write);
  CHECK(outcome(writer) == row.write);
  CHECK(open_session(rig, kReader, kOrigin, Access::read).ok());
}

TEST_CASE("A role is not taken on while somebody is in its way") {
  Rig rig;
  rig.open();
  const auto writer = open_session(rig, kWriter, kOrigin, Access::write);
  REQUIRE(writer.ok());
  CHECK(outcome(set_role(rig, ReplicationRole::replica)) == Code::busy);
  CHECK(set_role(rig, ReplicationRole::primary).ok());
  lose_power(rig);
  CHECK(outcome(set_role(rig, ReplicationRole::replica)) == Code::busy);
  rig.engine().forget_client(session_id(kWriter));
  CHECK(set_role(rig, ReplicationRole::replica).ok());
  const auto receiver = open_session(rig, kReceiver, kOrigin, Access::receive);
  REQUIRE(receiver.ok());
  CHECK(outcome(set_role(rig, ReplicationRole::primary)) == Code::busy);
  REQUIRE(set_receiving(rig, receive_of("a")).ok());
  close_session(rig, *receiver);
  CHECK(outcome(set_role(rig, ReplicationRole::primary)) == Code::invalid);
  CHECK(set_role(rig, ReplicationRole::none).ok());
  CHECK(outcome(open_session(rig, kWriter, kOrigin, Access::write)) == Code::denied);
  leave_receiving(rig, receive_of("a", true));
  CHECK(set_role(rig, ReplicationRole::primary).ok());
}

TEST_CASE("Of two that ask at once only one is let in") {
  const Access first = GENERATE(Access::write, Access::receive);
  const Access second =
      first == Access::write ? Access::receive : GENERATE(Access::write, Access::receive);
  const int between = GENERATE(0, 1, 2, 3, 4);
  Rig rig;
  rig.open();
  Race race;
  race.open(rig, 0, first);
  rig.turns(static_cast<std::uint64_t>(between));
  race.open(rig, 1, second);
  rig.until([&] { return race.opened[0] && race.opened[1]; });
  CHECK(race.opened[0]->ok());
  CHECK(outcome(*race.opened[1]) == Code::busy);
  rig.until_idle();
  // The other one left nothing behind.
  lose_power(rig);
  CHECK(rig.engine().absent_clients() == std::vector<Uuid>{session_id(10)});
}

TEST_CASE("A role and a session that it keeps out never go together") {
  const bool replica = GENERATE(false, true);
  const bool role_first = GENERATE(false, true);
  const int between = GENERATE(0, 1, 2, 3, 4);
  Rig rig;
  rig.open();
  Race race;
  const auto role = replica ? ReplicationRole::replica : ReplicationRole::primary;
  const auto open = [&] { race.open(rig, 0, replica ? Access::write : Access::receive); };
  role_first ? race.set(rig, role) : open();
  rig.turns(static_cast<std::uint64_t>(between));
  role_first ? open() : race.set(rig, role);
  rig.until([&] { return race.opened[0] && race.role; });
  CHECK(race.opened[0]->ok() != race.role->ok());
  CHECK((replication_now(rig).role == role) == race.role->ok());
}

TEST_CASE("After a restart a receiver comes back to what it was receiving") {
  Rig rig;
  rig.open();
  REQUIRE(open_session(rig, kReceiver, kOrigin, Access::receive).ok());
  REQUIRE(set_receiving(rig, receive_of("a")).ok());
  lose_power(rig);
  CHECK(replication_now(rig).receiving == receive_of("a"));
  CHECK(outcome(open_session(rig, kWriter, kOrigin, Access::write)) == Code::denied);
  // Nobody knows yet what the session of before was.
  CHECK(outcome(open_session(rig, kOther, kOrigin, Access::receive)) == Code::busy);
  CHECK(outcome(set_receiving(rig, std::nullopt)) == Code::stale);
  const auto back = open_session(rig, kReceiver, kOrigin, Access::receive);
  REQUIRE(back.ok());
  CHECK(outcome(open_session(rig, kOther, kOrigin, Access::receive)) == Code::busy);
  REQUIRE(set_receiving(rig, std::nullopt).ok());
  close_session(rig, *back);
  CHECK(open_session(rig, kWriter, kOrigin, Access::write).ok());
}

TEST_CASE("Who had not begun to receive before a restart does not go on after it") {
  Rig rig;
  rig.open();
  REQUIRE(open_session(rig, kReceiver, kOrigin, Access::receive).ok());
  lose_power(rig);
  // Nothing in the store keeps a writer out.
  const auto writer = open_session(rig, kWriter, kOrigin, Access::write);
  REQUIRE(writer.ok());
  close_session(rig, *writer);
  CHECK(outcome(open_session(rig, kReceiver, kOrigin, Access::receive)) == Code::stale);
}

TEST_CASE("A writer that is refused does not make the store forget a receive") {
  const std::uint64_t between = GENERATE(0, 1, 2, 3, 4);
  Rig rig;
  rig.open();
  leave_receiving(rig, receive_of("a", true));
  Race race;
  race.open(rig, 0, Access::receive);
  rig.turns(between);
  race.open(rig, 1, Access::write);
  rig.until([&] { return race.opened[0] && race.opened[1]; });
  CHECK(race.opened[0]->ok());
  CHECK(outcome(*race.opened[1]) == Code::busy);
  CHECK(replication_now(rig).receiving);
}

TEST_CASE("A reader does not come back as a writer where a receive was undone") {
  Rig rig;
  rig.open();
  leave_receiving(rig, receive_of("a", true));
  REQUIRE(open_session(rig, kReader, kOrigin, Access::read).ok());
  lose_power(rig);
  CHECK(outcome(open_session(rig, kReader, kOrigin, Access::write)) == Code::denied);
  CHECK(replication_now(rig).receiving);
  CHECK(open_session(rig, kReader, kOrigin, Access::read).ok());
  CHECK(open_session(rig, kWriter, kOrigin, Access::write).ok());
  CHECK_FALSE(replication_now(rig).receiving);
}

}  // namespace csnap
