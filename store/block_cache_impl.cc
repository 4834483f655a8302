// SPDX-License-Identifier: Apache-2.0
#include "store/block_cache_impl.h"

#include <cassert>
#include <cstring>
#include <string>

namespace csnap {

// -- lists --------------------------------------------------------------------------------------

void BlockCache::Impl::link(CacheList& list, std::uint32_t slot) {
  CacheEntry& entry = entries[slot];
  entry.previous = kNoSlot;
  entry.next = list.front;
  if (list.front != kNoSlot) entries[list.front].previous = slot;
  list.front = slot;
  if (list.back == kNoSlot) list.back = slot;
  ++list.size;
}

void BlockCache::Impl::unlink(CacheList& list, std::uint32_t slot) {
  CacheEntry& entry = entries[slot];
  (entry.previous == kNoSlot ? list.front : entries[entry.previous].next) = entry.next;
  (entry.next == kNoSlot ? list.back : entries[entry.next].previous) = entry.previous;
  entry.previous = entry.next = kNoSlot;
  --list.size;
}

void BlockCache::Impl::mark_dirty(std::uint32_t slot) {
  CacheEntry& entry = entries[slot];
  if (entry.dirty) return;
  if (entry.frozen)
    keep_frozen_content(entry);
  else
    unlink(clean, slot);
  entry.dirty = true;
  link(dirty, slot);
}

void BlockCache::Impl::mark_clean(std::uint32_t slot) {
  entries[slot].referenced = false;
  link(clean, slot);
}

// Before the block of a frozen entry changes.
void BlockCache::Impl::keep_frozen_content(CacheEntry& entry) {
  assert(entry.frozen);
  if (entry.copy != nullptr) return;
  entry.copy = pool.take();
  std::memcpy(entry.copy, entry.block, kBlockSize);
  seal_checksum(mutable_block(entry.copy));
}

// -- entries ------------------------------------------------------------------------------------

Status BlockCache::Impl::missed(BlockAddress address, BlockKind kind, std::uint32_t slot) {
  if (slot == kNoSlot || entries[slot].block == nullptr) {
    ++counters.misses;
    return Status::need_block(address.value);
  }
  return Status(Code::corrupt, "metadata block " + std::to_string(address.value) + " is a " +
                                   kind_name(entries[slot].kind) + ", not a " + kind_name(kind));
}

std::uint32_t BlockCache::Impl::find_or_add(BlockAddress address) {
  std::uint32_t slot = table.find(address);
  if (slot != kNoSlot) return slot;
  if (unused.empty()) {
    slot = static_cast<std::uint32_t>(entries.size());
    entries.emplace_back();
  } else {
    slot = unused.back();
    unused.pop_back();
  }
  entries[slot].address = address;
  table.insert(address, slot);
  return slot;
}

void BlockCache::Impl::drop_if_unused(std::uint32_t slot) {
  CacheEntry& entry = entries[slot];
  if (entry.block != nullptr || entry.frozen || entry.fetch != nullptr) return;
  table.erase(entry.address);
  entry = CacheEntry();
  unused.push_back(slot);
}

// Makes the entry dirty with content of this kind that the caller is about to write whole.
MutableBlock BlockCache::Impl::replace(BlockAddress address, BlockKind kind) {
  const std::uint32_t slot = find_or_add(address);
  CacheEntry& entry = entries[slot];
  if (entry.fetch != nullptr) entry.fetch->outdated = true;
  if (entry.block != nullptr) {
    changes(entry.kind);
    mark_dirty(slot);
  } else {
    entry.block = pool.take();
    entry.dirty = true;
    link(dirty, slot);
  }
  entry.kind = kind;
  entry.referenced = true;
  return mutable_block(entry.block);
}

void BlockCache::Impl::evict(std::uint32_t slot) {
  CacheEntry& entry = entries[slot];
  unlink(clean, slot);
  changes(entry.kind);
  pool.give_back(entry.block);
  entry.block = nullptr;
  drop_if_unused(slot);
  ++counters.evictions;
}

// -- reading from the device ----------------------------------------------------------------------

void BlockCache::Impl::start_read(BlockAddress address, std::byte* buffer) {
  IoRequest request;
  request.kind = IoKind::read;
  // An address that is too large for a byte offset is past the end of any device: let it say so.
  constexpr std::uint64_t kLast = ~std::uint64_t{0} >> kBlockShift;
  request.offset = std::min(address.value, kLast) << kBlockShift;
  request.data = mutable_block(buffer);
  request.done = [this, address](Status status) { fetched(address, std::move(status)); };
  device.submit(std::move(request));
}

const BlockValidator* BlockCache::Impl::validator(BlockKind kind) const {
  for (const auto& [its_kind, validate] : validators)
    if (its_kind == kind) return &validate;
  return nullptr;
}

Status BlockCache::Impl::check(BlockAddress address, ConstBlock block) const {
  CSNAP_TRY(check_any_block(block, address, store).with_context(device.name()));
  const BlockKind kind = kind_of(block);
  const BlockValidator* validate = validator(kind);
  if (validate == nullptr) return Status();
  return (*validate)(block).with_context(device.name() + ": metadata block " +
                                         std::to_string(address.value) + " (" + kind_name(kind) +
                                         ")");
}

void BlockCache::Impl::fetched(BlockAddress address, Status status) {
  const std::uint32_t slot = table.find(address);
  assert(slot != kNoSlot && entries[slot].fetch != nullptr);
  CacheEntry& entry = entries[slot];
  if (entry.block == nullptr && entry.fetch->outdated && !entry.frozen) {
    // Its home may have been written since the read was sent: what came is not to be trusted.
    entry.fetch->outdated = false;
    start_read(address, entry.fetch->buffer);
    return;
  }
  const std::unique_ptr<CacheFetch> fetch = std::move(entry.fetch);
  std::byte* buffer = fetch->buffer;
  if (entry.block != nullptr) {
    status = Status();  // created while the disk was asked
  } else if (entry.frozen) {
    std::memcpy(buffer, entry.copy, kBlockSize);  // forgotten, but on its way home
    status = Status();
    entry.block = std::exchange(buffer, nullptr);
    entry.kind = kind_of(const_block(entry.block));
  } else {
    if (status.ok()) status = check(address, const_block(buffer));
    if (status.ok()) {
      entry.block = std::exchange(buffer, nullptr);
      entry.kind = kind_of(const_block(entry.block));
      mark_clean(slot);
    }
  }
  if (buffer != nullptr) pool.give_back(buffer);
  drop_if_unused(slot);
  for (auto& waiter : fetch->waiters) waiter(status);
}

}  // namespace csnap
