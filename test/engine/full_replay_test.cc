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

}  // namespace csnap
