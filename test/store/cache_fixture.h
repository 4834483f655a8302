// SPDX-License-Identifier: Apache-2.0
// A block cache over a volume in memory, and blocks that hold a number.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "store/block_cache.h"
#include "store/memory_device.h"

namespace csnap::test {

inline const Uuid kStore = Uuid::from_random(1, 2);
inline constexpr std::uint64_t kBlocks = 4096;

inline void put_number(MutableBlock block, std::uint64_t number) {
  view_as<Le64>(block.subspan(sizeof(BlockHeader))).set(number);
  view_as<Le64>(block.subspan(kBlockSize - 8)).set(number);
}

inline std::uint64_t number_in(ConstBlock block) {
  const std::uint64_t number = view_as<Le64>(block.subspan(sizeof(BlockHeader))).get();
  CHECK(view_as<Le64>(block.subspan(kBlockSize - 8)).get() == number);
  return number;
}

struct CacheFixture {
  std::shared_ptr<MemoryVolume> volume = std::make_shared<MemoryVolume>("mem", kBlocks* kBlockSize);
  MemoryDevice device{volume};
  BlockCache cache{device, kStore, 64 * kBlockSize};

  void on_disk(BlockAddress address, std::uint64_t number, BlockKind kind = BlockKind::leaf) {
    std::vector<std::byte> block(kBlockSize);
    put_number(block, number);
    seal_block(block, kind, address, kStore, Sequence{1});
    volume->poke(address.value * kBlockSize, block);
  }
  std::uint64_t reads() const { return volume->counters().reads; }
  void write_home(BlockAddress address) {
    const ConstBlock block = cache.frozen_block(address);
    REQUIRE(check_any_block(block, address, kStore).ok());
    REQUIRE(write_sync(device, address.value * kBlockSize, block).ok());
  }
  std::uint64_t number(BlockAddress address) {
    const auto block = cache.read(address, BlockKind::leaf);
    REQUIRE(block.ok());
    return number_in(*block);
  }
};

}  // namespace csnap::test
