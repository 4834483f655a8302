// SPDX-License-Identifier: Apache-2.0
#include "store/block_cache.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "store/block_cache_impl.h"

namespace csnap {

BlockCache::BlockCache(Device& device, const Uuid& store, std::size_t capacity)
    : impl_(std::make_unique<Impl>(device, store, capacity)) {}

BlockCache::~BlockCache() = default;

void BlockCache::set_validator(BlockKind kind, BlockValidator validator) {
  std::erase_if(impl_->validators, [kind](const auto& v) { return v.first == kind; });
  impl_->validators.emplace_back(kind, std::move(validator));
}

Result<ConstBlock> BlockCache::read(BlockAddress address, BlockKind kind) {
  const std::uint32_t slot = impl_->table.find(address);
  if (!impl_->hit(slot, kind)) return impl_->missed(address, kind, slot);
  return const_block(impl_->entries[slot].block);
}

const std::byte* BlockCache::find(BlockAddress address, BlockKind kind) {
  const std::uint32_t slot = impl_->table.find(address);
  return impl_->hit(slot, kind) ? impl_->entries[slot].block : nullptr;
}

Result<MutableBlock> BlockCache::edit(BlockAddress address, BlockKind kind) {
  const std::uint32_t slot = impl_->table.find(address);
  if (!impl_->hit(slot, kind)) return impl_->missed(address, kind, slot);
  impl_->changes(kind);
  impl_->mark_dirty(slot);
  return mutable_block(impl_->entries[slot].block);
}

void BlockCache::prefetch_place(BlockAddress address) const {
  impl_->table.prefetch(address);
}

void BlockCache::prefetch_entry(BlockAddress address) const {
  const std::uint32_t slot = impl_->table.find(address);
  if (slot != kNoSlot) __builtin_prefetch(&impl_->entries[slot]);
}

const std::byte* BlockCache::peek(BlockAddress address, BlockKind kind) const {
  const std::uint32_t slot = impl_->table.find(address);
  return slot != kNoSlot && impl_->entries[slot].kind == kind ? impl_->entries[slot].block
                                                              : nullptr;
}

std::uint64_t BlockCache::node_changes() const {
  return impl_->node_changes;
}

MutableBlock BlockCache::create(BlockAddress address, BlockKind kind) {
  const MutableBlock block = impl_->replace(address, kind);
  std::memset(block.data(), 0, block.size());
  auto& header = view_as<BlockHeader>(block);
  header.kind.set(static_cast<std::uint32_t>(kind));
  header.address.set(address.value);
  std::memcpy(header.uuid, impl_->store.bytes.data(), sizeof header.uuid);
  return block;
}

void BlockCache::install(BlockAddress address, ConstBlock block) {
  assert(block.size() == kBlockSize);
  std::memcpy(impl_->replace(address, kind_of(block)).data(), block.data(), kBlockSize);
}

void BlockCache::forget(BlockAddress address) {
  const std::uint32_t slot = impl_->table.find(address);
  if (slot == kNoSlot) return;
  CacheEntry& entry = impl_->entries[slot];
  if (entry.fetch != nullptr) entry.fetch->outdated = true;
  if (entry.block == nullptr) return;
  impl_->changes(entry.kind);
  if (entry.dirty)
    impl_->unlink(impl_->dirty, slot);
  else if (entry.frozen)
    impl_->keep_frozen_content(entry);
  else
    impl_->unlink(impl_->clean, slot);
  entry.dirty = false;
  impl_->pool.give_back(std::exchange(entry.block, nullptr));
  impl_->drop_if_unused(slot);
}

bool BlockCache::is_ahead(BlockAddress address) const {
  const std::uint32_t slot = impl_->table.find(address);
  return slot != kNoSlot && (impl_->entries[slot].dirty || impl_->entries[slot].frozen);
}

void BlockCache::fetch(BlockAddress address, std::function<void(Status)> done) {
  const std::uint32_t slot = impl_->find_or_add(address);
  CacheEntry& entry = impl_->entries[slot];
  if (entry.block == nullptr && entry.frozen && entry.fetch == nullptr) {
    entry.block = impl_->pool.take();
    std::memcpy(entry.block, entry.copy, kBlockSize);
    entry.kind = kind_of(const_block(entry.block));
  }
  if (entry.block != nullptr) {
    done(Status());
    return;
  }
  if (entry.fetch != nullptr) {
    entry.fetch->waiters.push_back(std::move(done));
    return;
  }
  entry.fetch = std::make_unique<CacheFetch>();
  entry.fetch->buffer = impl_->pool.take();
  entry.fetch->waiters.push_back(std::move(done));
  impl_->start_read(address, entry.fetch->buffer);
}

Status BlockCache::fetch_sync(BlockAddress address) {
  bool finished = false;
  Status result;
  fetch(address, [&](Status status) {
    result = std::move(status);
    finished = true;
  });
  while (!finished) impl_->device.wait();
  return result;
}

bool BlockCache::fetch_all(std::span<const BlockAddress> addresses) {
  std::size_t left = addresses.size();
  bool all = true;
  for (const BlockAddress address : addresses)
    fetch(address, [&](const Status& status) {
      all &= status.ok();
      --left;
    });
  while (left > 0) impl_->device.wait();
  return all;
}

void BlockCache::trim() {
  // Twice round at most: once to take the marks of use away, once to find what may go.
  std::size_t steps = 2 * impl_->clean.size;
  while (impl_->pool.used() > impl_->capacity && steps-- > 0) {
    const std::uint32_t slot = impl_->clean.back;
    if (slot == kNoSlot) return;
    CacheEntry& entry = impl_->entries[slot];
    if (entry.referenced || entry.fetch != nullptr) {
      entry.referenced = false;
      impl_->unlink(impl_->clean, slot);
      impl_->link(impl_->clean, slot);
    } else {
      impl_->evict(slot);
    }
  }
}

std::size_t BlockCache::capacity() const {
  return impl_->capacity;
}
std::size_t BlockCache::size() const {
  return impl_->pool.used();
}
std::size_t BlockCache::dirty() const {
  return impl_->dirty.size;
}

std::vector<BlockAddress> BlockCache::freeze(Sequence sequence) {
  assert(!impl_->is_frozen);
  impl_->is_frozen = true;
  auto& addresses = impl_->frozen_addresses;
  addresses.clear();
  addresses.reserve(impl_->dirty.size);
  while (impl_->dirty.front != kNoSlot) {
    const std::uint32_t slot = impl_->dirty.front;
    impl_->unlink(impl_->dirty, slot);
    CacheEntry& entry = impl_->entries[slot];
    view_as<BlockHeader>(mutable_block(entry.block)).sequence.set(sequence.value);
    entry.dirty = false;
    entry.frozen = true;
    addresses.push_back(entry.address);
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

bool BlockCache::frozen() const {
  return impl_->is_frozen;
}

ConstBlock BlockCache::frozen_block(BlockAddress address) {
  const std::uint32_t slot = impl_->table.find(address);
  assert(slot != kNoSlot && impl_->entries[slot].frozen);
  CacheEntry& entry = impl_->entries[slot];
  impl_->keep_frozen_content(entry);
  return const_block(entry.copy);
}

void BlockCache::thaw() {
  assert(impl_->is_frozen);
  impl_->is_frozen = false;
  for (const BlockAddress address : impl_->frozen_addresses) {
    const std::uint32_t slot = impl_->table.find(address);
    assert(slot != kNoSlot);
    CacheEntry& entry = impl_->entries[slot];
    if (entry.copy != nullptr) impl_->pool.give_back(std::exchange(entry.copy, nullptr));
    entry.frozen = false;
    if (entry.block != nullptr && !entry.dirty) impl_->mark_clean(slot);
    impl_->drop_if_unused(slot);
  }
  impl_->frozen_addresses.clear();
}

const BlockCache::Counters& BlockCache::counters() const {
  return impl_->counters;
}

}  // namespace csnap
