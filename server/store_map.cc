// SPDX-License-Identifier: Apache-2.0
#include "server/store_map.h"

#include <algorithm>
#include <utility>

namespace csnap {
namespace {

constexpr std::size_t kMapCache = 16u << 20;
// Chunks that one answer about the bitmap covers at most.
constexpr std::uint64_t kChunksAtOnce = 32768;

}  // namespace

StoreMap::StoreMap(Device& metadata, Recovered recovered)
    : metadata_(&metadata), recovered_(std::move(recovered)), fixed_(fixed_areas(superblock())) {
  for (const ClientEntry& client : std::as_const(*recovered_.state).clients().all())
    for (const StoreRun& pool : client.pools)
      if (pool.count > 0) pools_.push_back(pool);
  std::sort(pools_.begin(), pools_.end(),
            [](const StoreRun& a, const StoreRun& b) { return a.start < b.start; });
}

Result<StoreMap> StoreMap::open(Device& store, Device* metadata, bool has_data) {
  CSNAP_ASSIGN(auto recovered, recover_to_read(store, metadata, has_data, kMapCache));
  return StoreMap(metadata ? *metadata : store, std::move(recovered));
}

void StoreMap::scan(TreeVisitor& visitor) {
  StoreState& state = *recovered_.state;
  BlockReader reader(*metadata_, state.cache(), superblock().uuid);
  const SnapshotTable& table = std::as_const(state).snapshots();
  TreeScan(reader, superblock(), table.active() | table.deleting(), visitor).run();
}

Result<StoreUse> StoreMap::use_of(StoreChunk chunk) {
  bool used = false;
  CSNAP_TRY(recovered_.state->with_blocks([&]() -> Status {
    CSNAP_ASSIGN(used, recovered_.state->data().is_used(chunk));
    return {};
  }));
  if (used) return StoreUse::used;
  const auto after =
      std::upper_bound(pools_.begin(), pools_.end(), chunk,
                       [](StoreChunk at, const StoreRun& pool) { return at < pool.start; });
  return after != pools_.begin() && (after - 1)->contains(chunk) ? StoreUse::pool : StoreUse::free;
}

Result<StoreArea> StoreMap::area_at(std::uint64_t block) {
  for (const StoreArea& area : fixed_)
    if (block < area.end()) return StoreArea{block, area.end() - block, area.use};
  const std::uint64_t per_chunk = superblock().blocks_per_chunk();
  const StoreChunk first(block / per_chunk);
  const StoreChunk end(std::min(superblock().store_chunks(), first.value + kChunksAtOnce));
  CSNAP_ASSIGN(const StoreUse use, use_of(first));
  StoreChunk at = first + 1;
  for (; at < end; ++at) {
    CSNAP_ASSIGN(const StoreUse next, use_of(at));
    if (next != use) break;
  }
  recovered_.state->cache().trim();
  return StoreArea{block, at.value * per_chunk - block, use};
}

}  // namespace csnap
