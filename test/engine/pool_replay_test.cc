// SPDX-License-Identifier: Apache-2.0
// A client may be writing to its pool while the server is gone: replay must not put the tree there.
#include <catch2/catch.hpp>

#include "server/recovery.h"
#include "test/engine/rig.h"

namespace csnap {
namespace {

// Chunks of pools that are in use. Nothing was finished there, so that it could only be the tree.
std::uint64_t used_in_pools(Rig& rig) {
  MemoryDevice device(rig.store);
  auto recovered = recover(device, device, rig.options.cache_bytes);
  REQUIRE(recovered.ok());
  StoreState& state = *recovered->state;
  std::uint64_t chunks = 0, used = 0;
  for (const auto& client : state.clients().all())
    for (const auto& pool : client.pools)
      for (StoreChunk c = pool.start; c < pool.end(); ++c, ++chunks) {
        Result<bool> in_use = false;
        REQUIRE(
            state.with_blocks([&] { return (in_use = state.data().is_used(c)).status(); }).ok());
        used += *in_use;
      }
  REQUIRE(chunks > 0);
  return used;
}

}  // namespace

TEST_CASE("Replay puts no block of the tree where a client may be writing") {
  RigOptions options;
  options.origin_chunks = 16384;
  options.store_bytes = 128u << 20;
  options.journal_bytes = 1u << 20;
  Rig rig(options);
  rig.open();
  const auto snapshot = rig.create("s");
  std::uint64_t next = 0;
  // At many distances from the last checkpoint.
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    for (int i = 0; i < 150; ++i)
      REQUIRE(rig.write_origin_now({Chunk(next++ * 4099 % 16384), 1}, 1).ok());
    rig.drop_client(snapshot->id);
    bool placed = false;
    rig.engine().snapshot_write(
        rig.client(snapshot->id), {{Chunk(next * 4099 % 16384), 1}}, true,
        [&](const Result<std::vector<WritePiece>>& pieces) { placed = pieces.ok(); });
    rig.until([&] { return placed; });
    REQUIRE(used_in_pools(rig) == 0);
  }
}

}  // namespace csnap
