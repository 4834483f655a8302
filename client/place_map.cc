// SPDX-License-Identifier: Apache-2.0
#include "client/place_map.h"

#include <algorithm>
#include <mutex>

namespace csnap {

PlaceMap::PlaceMap(std::size_t bytes)
    : pages_per_shard_(std::max<std::size_t>(16, bytes / sizeof(Page) / kShards)) {}

std::optional<PlaceMap::Place> PlaceMap::find(Chunk chunk) const {
  const std::uint64_t page = chunk.value / kPageChunks;
  const Shard& shard = shard_of(page);
  std::shared_lock lock(shard.mutex);
  const auto it = shard.pages.find(page);
  if (it == shard.pages.end()) return std::nullopt;
  const std::size_t at = chunk.value % kPageChunks;
  const std::uint64_t place = it->second->places[at];
  if (place == 0) return std::nullopt;
  return Place{StoreChunk(place >> 2), (place & 2) != 0, it->second->crcs[at]};
}

PlaceMap::Page& PlaceMap::page_for_update(Shard& shard, std::uint64_t page) {
  auto it = shard.pages.find(page);
  if (it != shard.pages.end()) return *it->second;
  // Whichever the table names first has to go: as good as chance, and free.
  if (shard.pages.size() >= pages_per_shard_) shard.pages.erase(shard.pages.begin());
  return *shard.pages.emplace(page, std::make_unique<Page>()).first->second;
}

void PlaceMap::learn(ChunkRun run, StoreChunk store, bool rewritable,
                     std::span<const std::uint32_t> crcs) {
  std::uint64_t at = run.start.value;
  while (at < run.end().value) {
    const std::uint64_t page = at / kPageChunks;
    const std::uint64_t end = std::min(run.end().value, (page + 1) * kPageChunks);
    Shard& shard = shard_of(page);
    std::lock_guard lock(shard.mutex);
    Page& p = page_for_update(shard, page);
    for (; at < end; ++at) {
      const std::uint64_t i = at - run.start.value;
      p.places[at % kPageChunks] = (store.value + i) << 2 | (rewritable ? 2u : 0u) | 1;
      p.crcs[at % kPageChunks] = crcs.empty() ? 0 : crcs[i];
    }
  }
}

void PlaceMap::clear() {
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    shard.pages.clear();
  }
}

}  // namespace csnap
