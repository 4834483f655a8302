// SPDX-License-Identifier: Apache-2.0
// Where chunks of a snapshot lie that are known to be the snapshot's alone: their place in the
// store, and whether it may be written without asking. A cache of bounded size: what falls out is
// asked for again.
//
// Threading: any thread. Sharded; lookups of different threads do not wait for each other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <unordered_map>

#include "store/types.h"

namespace csnap {

class PlaceMap {
 public:
  struct Place {
    StoreChunk store;
    bool rewritable = false;
    std::uint32_t crc = 0;  // of its data, or none
  };

  explicit PlaceMap(std::size_t bytes);

  std::optional<Place> find(Chunk chunk) const;
  // The chunks of the run lie in order from `store` on. crcs: empty, or one for each.
  void learn(ChunkRun run, StoreChunk store, bool rewritable, std::span<const std::uint32_t> crcs);
  void clear();

 private:
  static constexpr std::size_t kShards = 16;
  static constexpr std::uint64_t kPageChunks = 256;
  // A place: store chunk << 2 | rewritable << 1 | 1; 0 is none.
  struct Page {
    std::array<std::uint64_t, kPageChunks> places{};
    std::array<std::uint32_t, kPageChunks> crcs{};
  };
  struct Shard {
    mutable std::shared_mutex mutex;
    std::unordered_map<std::uint64_t, std::unique_ptr<Page>> pages;
  };

  Shard& shard_of(std::uint64_t page) { return shards_[page % kShards]; }
  const Shard& shard_of(std::uint64_t page) const { return shards_[page % kShards]; }
  Page& page_for_update(Shard& shard, std::uint64_t page);

  std::size_t pages_per_shard_;
  std::array<Shard, kShards> shards_;
};

}  // namespace csnap
