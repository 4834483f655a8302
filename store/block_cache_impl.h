// SPDX-License-Identifier: Apache-2.0
// The inside of the block cache; for block_cache.cc and block_cache_impl.cc only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "store/address_table.h"
#include "store/block_cache.h"
#include "store/block_pool.h"

namespace csnap {

inline constexpr std::uint32_t kNoSlot = AddressTable::kNone;

// A read of a block that is under way.
struct CacheFetch {
  std::byte* buffer = nullptr;
  // The block was replaced or freed meanwhile: what the disk gives may be older than its home.
  bool outdated = false;
  std::vector<std::function<void(Status)>> waiters;
};

// One address. A block's memory never moves while it is cached, so spans stay good across freeze()
// and edit(): it is the frozen content that gets a copy.
struct CacheEntry {
  BlockAddress address;
  std::byte* block = nullptr;  // content as of now; null while it is fetched, or when forgotten
  std::byte* copy = nullptr;   // frozen content, sealed; made when first needed
  BlockKind kind{};
  bool dirty = false;
  bool frozen = false;
  bool referenced = false;  // hit since it last came to the end of the clean list
  // Place in the list of clean or of dirty entries. Frozen entries that are not dirty are in
  // none: they are pinned until thaw().
  std::uint32_t previous = kNoSlot;
  std::uint32_t next = kNoSlot;
  std::unique_ptr<CacheFetch> fetch;
};

struct CacheList {
  std::uint32_t front = kNoSlot;
  std::uint32_t back = kNoSlot;
  std::size_t size = 0;
};

inline ConstBlock const_block(const std::byte* memory) {
  return {memory, kBlockSize};
}
inline MutableBlock mutable_block(std::byte* memory) {
  return {memory, kBlockSize};
}

class BlockCache::Impl {
 public:
  static constexpr std::size_t kMinCapacity = 64;  // blocks

  Impl(Device& d, const Uuid& s, std::size_t bytes)
      : device(d), store(s), capacity(std::max(bytes / kBlockSize, kMinCapacity)) {}

  // The hot path of everything: is the content under this address, and of this kind, in the slot?
  bool hit(std::uint32_t slot, BlockKind kind) {
    if (slot == kNoSlot) return false;
    CacheEntry& entry = entries[slot];
    if (entry.block == nullptr || entry.kind != kind) return false;
    entry.referenced = true;
    ++counters.hits;
    return true;
  }
  // A block of this kind is about to be another, or to go.
  void changes(BlockKind kind) {
    if (kind == BlockKind::node) ++node_changes;
  }
  // Why not.
  Status missed(BlockAddress address, BlockKind kind, std::uint32_t slot);
  std::uint32_t find_or_add(BlockAddress address);
  void drop_if_unused(std::uint32_t slot);
  MutableBlock replace(BlockAddress address, BlockKind kind);
  void mark_dirty(std::uint32_t slot);
  void mark_clean(std::uint32_t slot);
  void keep_frozen_content(CacheEntry& entry);

  void start_read(BlockAddress address, std::byte* buffer);
  void fetched(BlockAddress address, Status status);
  Status check(BlockAddress address, ConstBlock block) const;
  const BlockValidator* validator(BlockKind kind) const;

  void link(CacheList& list, std::uint32_t slot);
  void unlink(CacheList& list, std::uint32_t slot);
  void evict(std::uint32_t slot);

  Device& device;
  const Uuid store;
  const std::size_t capacity;
  BlockPool pool;
  AddressTable table;
  std::vector<CacheEntry> entries;
  std::vector<std::uint32_t> unused;  // slots of entries
  CacheList clean, dirty;
  std::vector<BlockAddress> frozen_addresses;
  bool is_frozen = false;
  std::uint64_t node_changes = 0;
  std::vector<std::pair<BlockKind, BlockValidator>> validators;
  Counters counters;
};

}  // namespace csnap
