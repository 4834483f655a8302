// SPDX-License-Identifier: Apache-2.0
// Snapshots for the tests of sealing.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "test/engine/sessions.h"

namespace csnap {

inline constexpr ChunkRun kWritten{Chunk(10), 4};

inline RigOptions with_metadata_apart() {
  RigOptions options;
  options.separate_metadata = true;
  return options;
}

// An origin that differs from zeros, and a snapshot of it.
inline Snapshot make_snapshot(Rig& rig, const std::string& name) {
  REQUIRE(rig.write_origin_now({Chunk(0), 64}, 1).ok());
  const auto made = rig.create(name);
  REQUIRE(made.ok());
  rig.until_idle();
  return *made;
}

inline std::vector<ReadPiece> pieces_read(Rig& rig, ClientKey key, ChunkRun run,
                                          std::uint64_t ahead) {
  std::vector<ReadPiece> pieces;
  bool told = false;
  rig.engine().snapshot_read(
      key, {run},
      [&](const Result<ReadGrant>& grant) {
        REQUIRE(grant.ok());
        pieces = grant->pieces;
        pieces.insert(pieces.end(), grant->ahead.begin(), grant->ahead.end());
        rig.engine().finish_read(key, grant->id);
        told = true;
      },
      ahead);
  rig.until([&] { return told; });
  return pieces;
}

}  // namespace csnap
