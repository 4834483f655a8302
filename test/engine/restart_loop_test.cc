// SPDX-License-Identifier: Apache-2.0
// A server that dies again and again at the same place must not use the journal up: however often
// it was started in vain, the next start finds room.
#include <catch2/catch.hpp>

#include "test/engine/rig.h"

namespace csnap {
namespace {

constexpr FaultPlan::Match kWritesOfSuperblockA{.kind = IoKind::write, .from = 4096, .to = 8192};

// Serves until it dies of what the plan holds, or for a while.
void serve(Rig& rig, std::uint64_t& next) {
  for (int turn = 0; turn < 60 && !rig.engine().status().failed; ++turn) {
    if (turn % 8 == 0) {
      ++next;
      rig.write_origin({Chunk(next * 1009 % rig.options.origin_chunks), 1}, next);
    }
    rig.turns(1);
  }
}

RigOptions made(bool separate) {
  RigOptions options;
  options.origin_chunks = 3001;
  options.store_bytes = 64u << 20;
  options.separate_metadata = separate;
  return options;
}

void check_at_last(Rig& rig) {
  rig.faults = nullptr;
  rig.open();
  rig.until_idle();
  rig.check_all();
  REQUIRE(rig.check_store() == "");
  REQUIRE(rig.write_origin_now({Chunk(0), 64}, 77).ok());
  rig.close();
  REQUIRE(rig.check_store() == "");
}

}  // namespace

TEST_CASE("However often a server dies while a checkpoint goes home, there is room for the next") {
  const bool separate = GENERATE(false, true);
  Rig rig(made(separate));
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(0), rig.options.origin_chunks}, 1).ok());
  REQUIRE(rig.create("monday").ok());
  rig.kill();
  std::uint64_t next = 0, died = 0;
  for (int start = 0; start < 100; ++start) {
    rig.faults = std::make_shared<FaultPlan>();
    INFO("start " << start);
    rig.open();
    rig.faults->fail(1, kWritesOfSuperblockA, Often::for_ever);
    serve(rig, next);
    died += rig.engine().status().failed;
    rig.kill();
    REQUIRE(rig.check_store() == "");
  }
  CHECK(died > 20);
  check_at_last(rig);
}

TEST_CASE("However often a server dies while it writes the journal, there is room for the next") {
  const bool separate = GENERATE(false, true);
  Rig rig(made(separate));
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(0), rig.options.origin_chunks}, 1).ok());
  REQUIRE(rig.create("monday").ok());
  rig.kill();
  std::mt19937_64 random(1);
  std::uint64_t next = 0;
  for (int start = 0; start < 300; ++start) {
    rig.faults = std::make_shared<FaultPlan>();
    INFO("start " << start);
    rig.open();
    // Counted over both devices and all places: now and then in the midst of a checkpoint's images.
    rig.faults->fail(1 + random() % 20, FaultPlan::writes(), Often::for_ever);
    serve(rig, next);
    rig.kill();
    REQUIRE(rig.check_store() == "");
  }
  check_at_last(rig);
}

}  // namespace csnap
