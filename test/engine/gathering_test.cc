// SPDX-License-Identifier: Apache-2.0
// Commits that wait for those who were just answered (server/committer.h).
#include <catch2/catch.hpp>

#include "test/engine/rig.h"

namespace csnap {
namespace {

// Origin writers under a snapshot, each of whose writes is a change to be committed.
struct Writers {
  std::uint64_t now = 1000, step = 0;  // microseconds; every look at the clock takes `step`
  std::uint64_t next = 0, answered = 0;
  Rig rig;

  Writers() : rig({.clock_us = [this] { return now += step; }}) {
    rig.open();
    REQUIRE(rig.create("s").ok());
  }
  void write(int count) {
    for (int i = 0; i < count; ++i)
      rig.write_origin({Chunk(2 * next++), 1}, 7, [this](const Status& s) { answered += s.ok(); });
  }
  // So many were answered by one commit, which took some milliseconds.
  void commit(int count) {
    step = 1000;
    write(count);
    const std::uint64_t before = answered;
    rig.until([&] { return answered == before + static_cast<std::uint64_t>(count); });
    step = 0;
  }
  std::uint64_t answers_after_turns() {
    const std::uint64_t before = answered;
    rig.turns(50);
    return answered - before;
  }
};

}  // namespace

TEST_CASE("A commit waits for as many as there were, but not longer than a part of the last one") {
  Writers writers;
  writers.commit(8);
  writers.write(2);
  CHECK(writers.answers_after_turns() == 0);
  const auto until = writers.rig.engine().wants_turn_us();
  REQUIRE(until.has_value());
  CHECK(*until > writers.now);
  writers.now = *until;
  CHECK(writers.answers_after_turns() == 2);
}

TEST_CASE("When all are there the commit begins at once") {
  Writers writers;
  writers.commit(8);
  writers.write(8);
  CHECK(writers.answers_after_turns() == 8);
}

TEST_CASE("A few never wait for each other") {
  Writers writers;
  writers.commit(3);
  writers.write(1);
  CHECK(writers.answers_after_turns() == 1);
}

TEST_CASE("Nobody is gathered for the commit of a snapshot: all others are held up by it") {
  Writers writers;
  writers.commit(8);
  writers.write(2);
  CHECK(writers.answers_after_turns() == 0);
  writers.rig.start_create("t");
  CHECK(writers.answers_after_turns() == 2);
  CHECK(writers.rig.engine().find_snapshot("t").ok());
}

TEST_CASE("A server that stops gathers nobody") {
  Writers writers;
  writers.commit(8);
  writers.write(2);
  CHECK(writers.answers_after_turns() == 0);
  writers.rig.close();
}

}  // namespace csnap
