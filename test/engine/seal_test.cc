// SPDX-License-Identifier: Apache-2.0
// What a snapshot's UUID and transid stand for: marking it as written, sealing it.
#include <catch2/catch.hpp>

#include "test/engine/seals.h"

namespace csnap {
namespace {

// Its chunks are its own, rewritten in place; nobody has it open, and it is sealed.
Snapshot make_sealed(Rig& rig, const std::string& name) {
  const Snapshot made = make_snapshot(rig, name);
  REQUIRE(rig.write_snapshot_now(made.id, kWritten, 5, false).ok());
  rig.drop_client(made.id);
  rig.until_idle();
  const auto sealed = seal(rig, name);
  REQUIRE(sealed.ok());
  return *sealed;
}

// Asks to write, and has the power fail at the moment in which that is granted.
void lose_power_at_grant(Rig& rig, SnapshotId id, ChunkRun run, bool overwrite) {
  const auto key = open_session(rig, 1, id, Access::write);
  REQUIRE(key.ok());
  rig.until_idle();
  bool granted = false;
  rig.engine().snapshot_write(*key, {run}, overwrite,
                              [&](const Result<std::vector<WritePiece>>& pieces) {
                                granted = pieces.ok() && !pieces->empty();
                              });
  for (int turn = 0; turn < 1000 && !granted; ++turn) rig.turns(1);
  REQUIRE(granted);
  lose_power(rig);
}

bool called_rewritable(Rig& rig, ClientKey key) {
  const auto pieces = pieces_read(rig, key, {kWritten.start, 1}, kWritten.count - 1);
  std::uint64_t chunks = 0;
  for (const ReadPiece& piece : pieces) {
    chunks += piece.chunks.count;
    REQUIRE_FALSE(piece.on_origin);
    REQUIRE(piece.exclusive);
    REQUIRE(piece.rewritable == pieces.front().rewritable);
  }
  REQUIRE(chunks == kWritten.count);
  return pieces.front().rewritable;
}

}  // namespace

TEST_CASE("A snapshot is known as written before the first write of it is granted") {
  const bool overwrite = GENERATE(false, true);
  const ChunkRun run = GENERATE(false, true) ? kWritten : ChunkRun{Chunk(30), 2};
  INFO("overwrite " << overwrite << ", from chunk " << run.start.value);
  SECTION("of a new one") {
    Rig rig;
    rig.open();
    const Snapshot made = make_snapshot(rig, "a");
    CHECK_FALSE(made.written);
    CHECK(made.transid == made.id.value);
    lose_power_at_grant(rig, made.id, run, overwrite);
    CHECK(snapshot_now(rig, "a").written);
  }
  SECTION("of one that shares its chunks") {
    Rig rig;
    rig.open();
    const Snapshot made = make_snapshot(rig, "a");
    REQUIRE(rig.create("b").ok());
    REQUIRE(rig.write_origin_now({Chunk(0), 64}, 2).ok());
    rig.until_idle();
    lose_power_at_grant(rig, made.id, run, overwrite);
    CHECK(snapshot_now(rig, "a").written);
    CHECK_FALSE(snapshot_now(rig, "b").written);
  }
  SECTION("of a sealed one, also where its places are rewritten in place") {
    Rig rig(GENERATE(RigOptions(), with_metadata_apart()));
    rig.open();
    const Snapshot sealed = make_sealed(rig, "a");
    if (GENERATE(false, true)) lose_power(rig);
    CHECK_FALSE(snapshot_now(rig, "a").written);
    lose_power_at_grant(rig, sealed.id, run, overwrite);
    CHECK(snapshot_now(rig, "a").written);
    CHECK(snapshot_now(rig, "a").transid == sealed.transid);
  }
}

TEST_CASE("A mark that could not be written grants nothing") {
  Rig rig;
  rig.faults = std::make_shared<FaultPlan>();
  rig.open();
  const Snapshot sealed = make_sealed(rig, "a");
  const auto key = open_session(rig, 1, sealed.id, Access::write);
  REQUIRE(key.ok());
  rig.until_idle();
  rig.faults->fail(1, FaultPlan::writes(), Often::for_ever);
  Status told;
  rig.engine().snapshot_write(
      *key, {kWritten}, false,
      [&](const Result<std::vector<WritePiece>>& pieces) { told = pieces.status(); });
  rig.until([&] { return !told.ok(); });
  CHECK(told.code() == Code::io_error);
  rig.kill();
  rig.faults = nullptr;
  REQUIRE(rig.try_open().ok());
  CHECK(snapshot_now(rig, "a").transid == sealed.transid);
}

TEST_CASE("No place of a sealed snapshot is called rewritable") {
  Rig rig;
  rig.open();
  const Snapshot made = make_snapshot(rig, "a");
  REQUIRE(rig.write_snapshot_now(made.id, kWritten, 5, false).ok());
  CHECK(called_rewritable(rig, rig.client(made.id)));
  rig.drop_client(made.id);
  REQUIRE(seal(rig, "a").ok());
  const auto key = open_session(rig, 1, made.id, Access::write);
  REQUIRE(key.ok());
  CHECK_FALSE(called_rewritable(rig, *key));
  close_session(rig, *key);
  SECTION("until it is written to") {
    REQUIRE(rig.write_snapshot_now(made.id, {Chunk(40), 1}, 6, false).ok());
    CHECK(called_rewritable(rig, rig.client(made.id)));
  }
  SECTION("also not after a restart") {
    lose_power(rig);
    rig.engine().forget_client(session_id(1));
    const auto reader = open_session(rig, 2, made.id, Access::write);
    REQUIRE(reader.ok());
    CHECK_FALSE(called_rewritable(rig, *reader));
  }
  SECTION("nor is one of a new snapshot that has its bit") {
    REQUIRE(rig.remove("a").ok());
    rig.until_idle();
    const auto other = rig.create("b");
    REQUIRE(other.ok());
    REQUIRE(other->bit == made.bit);
    CHECK_FALSE(other->written);
    REQUIRE(rig.write_snapshot_now(other->id, {Chunk(40), 1}, 6, false).ok());
    CHECK(snapshot_now(rig, "b").written);
  }
}

TEST_CASE("A written snapshot is not sealed while somebody may write to it") {
  Rig rig;
  rig.open();
  const Snapshot made = make_snapshot(rig, "a");
  REQUIRE(rig.write_snapshot_now(made.id, kWritten, 5, false).ok());
  CHECK(seal(rig, "a").status().code() == Code::busy);
  rig.drop_client(made.id);
  const auto writer = open_session(rig, 1, made.id, Access::write);
  REQUIRE(writer.ok());
  CHECK(seal(rig, "a").status().code() == Code::busy);
  SECTION("nor before the sessions of before a restart have ended") {
    lose_power(rig);
    CHECK(seal(rig, "a").status().code() == Code::busy);
    SECTION("which come back") {
      const auto back = open_session(rig, 1, made.id, Access::write);
      REQUIRE(back.ok());
      CHECK(seal(rig, "a").status().code() == Code::busy);
      close_session(rig, *back);
    }
    SECTION("or do not") {
      rig.engine().forget_client(session_id(1));
    }
  }
  SECTION("but it may be read") {
    REQUIRE(open_session(rig, 2, made.id, Access::read).ok());
    close_session(rig, *writer);
  }
  const auto sealed = seal(rig, "a");
  REQUIRE(sealed.ok());
  CHECK(sealed->transid > made.transid);
  CHECK_FALSE(sealed->written);
  CHECK(sealed->uuid == made.uuid);
  CHECK(seal(rig, "b").status().code() == Code::not_found);
}

TEST_CASE("Sealing what nobody wrote to changes nothing") {
  Rig rig;
  rig.open();
  const Snapshot made = make_snapshot(rig, "a");
  const auto writer = open_session(rig, 1, made.id, Access::write);
  REQUIRE(writer.ok());
  for (int again = 0; again < 2; ++again) {
    const auto sealed = seal(rig, "a");
    REQUIRE(sealed.ok());
    CHECK(sealed->transid == made.transid);
    lose_power(rig);
  }
  for (const Uuid& id : rig.engine().absent_clients()) rig.engine().forget_client(id);
  REQUIRE(rig.write_snapshot_now(made.id, kWritten, 5, false).ok());
  rig.drop_client(made.id);
  const auto first = seal(rig, "a");
  const auto second = seal(rig, "a");
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(first->transid == second->transid);
  // They are of one row with the ids of snapshots.
  CHECK(first->transid == made.id.value + 1);
  const auto later = rig.create("b");
  REQUIRE(later.ok());
  CHECK(later->id.value == first->transid + 1);
  CHECK(later->transid == later->id.value);
}

TEST_CASE("Whoever opens a snapshot for writing while it is being sealed marks it anew") {
  Rig rig;
  rig.open();
  const Snapshot made = make_snapshot(rig, "a");
  REQUIRE(rig.write_snapshot_now(made.id, kWritten, 5, false).ok());
  rig.drop_client(made.id);
  rig.until_idle();
  Result<Snapshot> sealed = Status(Code::internal, "no answer");
  bool granted = false;
  const auto open = [&] {
    rig.engine().open_client(
        session_id(1), made.id, Access::write, [&](const Result<ClientKey>& key) {
          REQUIRE(key.ok());
          rig.engine().snapshot_write(
              *key, {kWritten}, false,
              [&](const Result<std::vector<WritePiece>>& pieces) { granted = pieces.ok(); });
        });
  };
  const auto ask = [&] {
    rig.engine().seal_snapshot("a", [&](Result<Snapshot> answer) { sealed = std::move(answer); });
  };
  const int between = GENERATE(0, 1, 2, 3, 5);
  const bool open_first = GENERATE(false, true);
  open_first ? open() : ask();
  rig.turns(static_cast<std::uint64_t>(between));
  open_first ? ask() : open();
  rig.until([&] { return granted && sealed.status().code() != Code::internal; });
  lose_power(rig);
  const Snapshot now = snapshot_now(rig, "a");
  CHECK(now.written);
  // Sealed before, or refused.
  CHECK((sealed.status().code() == Code::busy) == (now.transid == made.transid));
}

}  // namespace csnap
