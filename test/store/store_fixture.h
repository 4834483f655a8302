// SPDX-License-Identifier: Apache-2.0
// A store in memory for tests of its parts: volume, device, layout, cache.
#pragma once

#include <catch2/catch.hpp>
#include <memory>

#include "store/memory_device.h"
#include "store/superblock.h"

namespace csnap {

struct StoreFixture {
  explicit StoreFixture(std::uint64_t size = 64 << 20, unsigned chunk_shift = kMinChunkShift,
                        std::size_t cache_blocks = 4096)
      : volume(std::make_shared<MemoryVolume>("store", size)), device(volume) {
    LayoutRequest request;
    request.uuid = Uuid::from_random(7, 8);
    request.origin_size = 1ULL << 40;
    request.store_size = size;
    request.chunk_shift = chunk_shift;
    auto plan = plan_layout(request);
    REQUIRE(plan.ok());
    superblock = *plan;
    REQUIRE(format_store(device, nullptr, superblock).ok());
    cache = std::make_unique<BlockCache>(device, superblock.uuid, cache_blocks * kBlockSize);
  }

  // Reads blocks until f() no longer misses.
  template <class F>
  auto with_reads(F f) {
    for (unsigned tries = 0;; ++tries) {
      auto result = f();
      const Status& status = status_of(result);
      if (status.code() != Code::need_block) return result;
      REQUIRE(tries < 10000);
      ++misses;
      REQUIRE(cache->fetch_sync(BlockAddress(status.detail())).ok());
    }
  }

  // Writes every dirty block home, so that all may be evicted; then trims.
  void checkpoint() {
    for (const BlockAddress address : cache->freeze(Sequence(++sequence))) {
      const ConstBlock block = cache->frozen_block(address);
      REQUIRE(check_any_block(block, address, superblock.uuid).ok());
      volume->poke(address.value * kBlockSize, block);
    }
    cache->thaw();
    cache->trim();
  }

  std::shared_ptr<MemoryVolume> volume;
  MemoryDevice device;
  Superblock superblock;
  std::unique_ptr<BlockCache> cache;
  std::uint64_t sequence = 0;
  std::uint64_t misses = 0;

 private:
  static const Status& status_of(const Status& status) { return status; }
  template <class T>
  static const Status& status_of(const Result<T>& result) {
    return result.status();
  }
};

}  // namespace csnap
