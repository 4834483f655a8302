// SPDX-License-Identifier: Apache-2.0
// What a deletion freed on a full store is used again at once. A crash before the next checkpoint
// must find room for the tree when all of it is replayed.
#include <catch2/catch.hpp>

#include "test/engine/rig.h"

namespace csnap {

TEST_CASE("Space that came free on a full store is no hindrance to replay") {
  RigOptions options;
  options.origin_chunks = 2000;
  options.store_bytes = 12u << 20;
  options.journal_bytes = 4u << 20;
  Rig rig(options);
  rig.open();
  REQUIRE(rig.create("old").ok());
  std::uint64_t tag = 1;
  std::mt19937_64 random(1);
  const auto some = [&] { return ChunkRun{Chunk(random() % options.origin_chunks), 1}; };
  for (int refused = 0; refused < 20;) refused += !rig.write_origin_now(some(), ++tag).ok();
  REQUIRE(rig.create("new").ok());
  rig.close();
  rig.open();
  REQUIRE(rig.remove("old").ok());
  // While it goes on, and after it.
  for (int refused = 0; refused < 20;) {
    refused += !rig.write_origin_now(some(), ++tag).ok();
    REQUIRE(rig.check_store() == "");
  }
  rig.kill();
  REQUIRE(rig.check_store() == "");
  rig.open();
  rig.check_all();
  rig.close();
}

TEST_CASE("A deletion that frees more than is held back at once comes to its end by itself") {
  RigOptions options;
  options.origin_chunks = 2000;
  options.max_held_runs = 16;
  Rig rig(options);
  rig.open();
  REQUIRE(rig.create("old").ok());
  // Neighbours lie apart in the store: none of what is freed merges.
  for (std::uint64_t from = 0; from < 3; ++from)
    for (std::uint64_t c = from; c < options.origin_chunks; c += 3)
      REQUIRE(rig.write_origin_now({Chunk(c), 1}, 1 + c).ok());
  const std::uint64_t used = rig.engine().status().exception_chunks;
  REQUIRE(used == options.origin_chunks);
  REQUIRE(rig.remove("old").ok());
  rig.until([&] { return rig.engine().status().exception_chunks == 0; });
  rig.until_idle();
  CHECK(rig.engine().list().empty());
  rig.check_all();
  rig.close();
}

}  // namespace csnap
