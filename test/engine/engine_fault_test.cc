// SPDX-License-Identifier: Apache-2.0
// Every I/O of a history fails in turn: every request is answered, and after a restart on a healthy
// disk everything that was acknowledged is there.
#include <catch2/catch.hpp>

#include "test/engine/rig.h"

namespace csnap {
namespace {

// A short history that takes every path: copies, overwrites, deletion, checkpoints. Stops asking
// once the engine has failed. Returns requests that went wrong.
int history(Rig& rig, const std::vector<SnapshotId>& snapshots) {
  int wrong = 0, waiting = 0;
  const auto told = [&](const Status& status) {
    --waiting;
    wrong += !status.ok();
  };
  for (std::uint64_t round = 0; round < 6; ++round) {
    waiting += 5;
    const std::uint64_t at = round * 20;
    rig.write_origin({Chunk(at), 8}, 1000 + round, told);
    rig.write_origin({Chunk(at + 9), 3}, 2000 + round, told);
    rig.write_snapshot(snapshots[0], {Chunk(at + 4), 6}, 3000 + round, true, told);
    rig.write_snapshot(snapshots[1], {Chunk(at + 5), 2}, 4000 + round, false, told);
    rig.read_snapshot(snapshots[1], {Chunk(at + 12), 4}, told);
    rig.until([&] { return waiting == 0; });
  }
  rig.start_create("late");
  rig.start_remove("early");
  rig.turns(60);
  return wrong;
}

// Lives through the history with the N-th I/O failing. false when it did not come to that.
bool try_nth(std::uint64_t nth, FaultPlan::Match match, Often often) {
  INFO("I/O number " << nth);
  RigOptions options;
  options.seed = nth;
  Rig rig(options);
  rig.faults = std::make_shared<FaultPlan>();
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(0), 256}, 1).ok());
  const std::vector<SnapshotId> snapshots{rig.create("a")->id, rig.create("b")->id};
  REQUIRE(rig.create("early").ok());
  for (const auto id : snapshots) rig.client(id);
  rig.until_idle();

  rig.faults->fail(nth, match, often);
  history(rig, snapshots);
  const bool struck = rig.faults->triggered() > 0;
  if (!rig.engine().status().failed) {
    rig.faults->heal();
    rig.check_all();
    REQUIRE(rig.mismatches() == 0);
  }
  rig.kill();
  rig.faults = nullptr;
  REQUIRE(rig.check_store() == "");
  rig.open();
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
  rig.until_idle();
  rig.close();
  REQUIRE(rig.check_store() == "");
  return struck;
}

}  // namespace

TEST_CASE("Any one I/O may fail and nothing that was acknowledged is harmed") {
  for (std::uint64_t nth = 1; try_nth(nth, FaultPlan::any(), Often::once);) ++nth;
}

TEST_CASE("Any flush may fail, for ever after") {
  for (std::uint64_t nth = 1; try_nth(nth, FaultPlan::flushes(), Often::for_ever);) ++nth;
}

TEST_CASE("Any write may fail, for ever after") {
  for (std::uint64_t nth = 1; try_nth(nth, FaultPlan::writes(), Often::for_ever);) ++nth;
}

TEST_CASE("A server whose journal cannot be written goes on serving what is durable") {
  Rig rig;
  rig.faults = std::make_shared<FaultPlan>();
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(0), 16}, 1).ok());
  const SnapshotId id = rig.create("s")->id;
  REQUIRE(rig.write_origin_now({Chunk(0), 1}, 2).ok());
  rig.client(id);
  rig.until_idle();
  rig.faults->fail(1, FaultPlan::flushes(), Often::for_ever);
  REQUIRE(rig.write_origin_now({Chunk(1), 1}, 3).code() == Code::io_error);
  REQUIRE(rig.engine().status().failed);
  REQUIRE(rig.write_origin_now({Chunk(0), 1}, 4).ok());
  Status read(Code::internal, "");
  rig.read_snapshot(id, {Chunk(4), 4}, [&](const Status& status) { read = status; });
  rig.until([&] { return read.code() != Code::internal; });
  REQUIRE(read.ok());
  REQUIRE(rig.mismatches() == 0);
  // What the failed commit spoke of is refused, not guessed at.
  read = Status(Code::internal, "");
  rig.read_snapshot(id, {Chunk(1), 1}, [&](const Status& status) { read = status; });
  rig.until([&] { return read.code() != Code::internal; });
  REQUIRE(read.code() == Code::io_error);
  REQUIRE(rig.engine().close().code() == Code::io_error);
}

TEST_CASE("What is not durable is not spoken of when a request is refused") {
  Rig rig;
  rig.faults = std::make_shared<FaultPlan>();
  rig.open();
  REQUIRE(rig.create("old").ok());
  rig.until_idle();
  rig.faults->fail(1, FaultPlan::flushes(), Often::for_ever);
  // The second of the same name hears of the first only when that is there; so does who deletes.
  Status first, second, gone;
  int told = 0;
  rig.engine().create_snapshot("new", std::nullopt,
                               [&](Result<Snapshot> s) { first = s.status(), ++told; });
  rig.engine().create_snapshot("new", std::nullopt,
                               [&](Result<Snapshot> s) { second = s.status(), ++told; });
  rig.engine().delete_snapshot("old", true, [&](const Status&) {});
  rig.turns(1);
  rig.engine().delete_snapshot("old", true, [&](const Status& s) { gone = s, ++told; });
  rig.until([&] { return told == 3; });
  REQUIRE(first.code() == Code::io_error);
  REQUIRE(second.code() == Code::io_error);
  REQUIRE(gone.code() == Code::io_error);
  // Nor later.
  REQUIRE(rig.create("new").status().code() == Code::io_error);
  told = 0;
  rig.engine().delete_snapshot("old", true, [&](const Status& s) { gone = s, ++told; });
  rig.engine().rename_snapshot("old", "older", [&](const Status& s) { first = s, ++told; });
  rig.until([&] { return told == 2; });
  REQUIRE(gone.code() == Code::io_error);
  REQUIRE(first.code() == Code::io_error);
}

TEST_CASE("Of two snapshots of one name that are asked for together one is made") {
  Rig rig;
  rig.open();
  Status first, second;
  int told = 0;
  rig.engine().create_snapshot("new", std::nullopt,
                               [&](Result<Snapshot> s) { first = s.status(), ++told; });
  rig.engine().create_snapshot("new", std::nullopt,
                               [&](Result<Snapshot> s) { second = s.status(), ++told; });
  rig.until([&] { return told == 2; });
  REQUIRE(first.ok());
  REQUIRE(second.code() == Code::exists);
}

TEST_CASE("What a deletion could not clear is not passed over, nor seen by who gets its bit next") {
  // Many leaves and a small cache: steps of a deletion fail while others wait behind them.
  const auto try_read = [](std::uint64_t nth) {
    INFO("read number " << nth);
    RigOptions options;
    options.origin_chunks = 4000;
    options.cache_bytes = 64u << 10;
    Rig rig(options);
    rig.open();
    REQUIRE(rig.create("old").ok());
    for (std::uint64_t c = 0; c < 4000; c += 2)
      REQUIRE(rig.write_origin_now({Chunk(c), 1}, 1 + c).ok());
    rig.until_idle();
    rig.close();
    rig.faults = std::make_shared<FaultPlan>();
    rig.open();
    rig.faults->fail(nth, FaultPlan::reads(), Often::once);
    rig.start_remove("old");
    rig.turns(500);
    const bool struck = rig.faults->triggered() > 0;
    rig.kill();
    rig.faults = nullptr;
    REQUIRE(rig.check_store() == "");
    rig.open();
    rig.until_idle();
    REQUIRE(rig.create("new").ok());
    rig.check_all();
    REQUIRE(rig.mismatches() == 0);
    rig.until_idle();
    rig.close();
    REQUIRE(rig.check_store() == "");
    return struck;
  };
  for (std::uint64_t nth = 1; try_read(nth);) ++nth;
}

TEST_CASE("A store opens in spite of a read that fails once") {
  for (std::uint64_t nth = 1;; ++nth) {
    INFO("read number " << nth);
    Rig rig;
    rig.open();
    REQUIRE(rig.create("s").ok());
    REQUIRE(rig.write_origin_now({Chunk(0), 32}, 2).ok());
    rig.kill();
    rig.faults = std::make_shared<FaultPlan>();
    rig.faults->fail(nth, FaultPlan::any());
    const Status opened = rig.try_open();
    const bool struck = rig.faults->triggered() > 0;
    if (opened.ok()) rig.kill();
    rig.faults = nullptr;
    rig.open();
    rig.check_all();
    REQUIRE(rig.mismatches() == 0);
    if (!struck) break;
  }
}

}  // namespace csnap
