// SPDX-License-Identifier: Apache-2.0
#include "store/block_cache.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>
#include <utility>

#include "store/address_table.h"
#include "store/block_pool.h"

namespace csnap {
namespace {

constexpr std::size_t kMinCapacity = 64;  // blocks
constexpr std::uint32_t kNone = AddressTable::kNone;

// A read of a block that is under way.
struct Fetch {
  std::byte* buffer = nullptr;
  // The block was replaced or freed meanwhile: what the disk gives may be older than its home.
  bool outdated = false;
  std::vector<std::function<void(Status)>> waiters;
};

// One address. A block's memory never moves while it is cached, so spans stay good across freeze()
// and edit(): it is the frozen content that gets a copy.
struct Entry {
  BlockAddress address;
  std::byte* block = nullptr;  // content as of now; null while it is fetched, or when forgotten
  std::byte* copy = nullptr;   // frozen content, sealed; made when first needed
  BlockKind kind{};
  bool dirty = false;
  bool frozen = false;
  bool referenced = false;  // hit since it last came to the end of the clean list
  // Place in the list of clean or of dirty entries. Frozen entries that are not dirty are in
  // none: they are pinned until thaw().
  std::uint32_t previous = kNone;
  std::uint32_t next = kNone;
  std::unique_ptr<Fetch> fetch;
};

struct List {
  std::uint32_t front = kNone;
  std::uint32_t back = kNone;
  std::size_t size = 0;
};

ConstBlock const_block(const std::byte* memory) {
  return {memory, kBlockSize};
}
MutableBlock mutable_block(std::byte* memory) {
  return {memory, kBlockSize};
}

}  // namespace

class BlockCache::Impl {
 public:
  Impl(Device& d, const Uuid& s, std::size_t bytes)
      : device(d), store(s), capacity(std::max(bytes / kBlockSize, kMinCapacity)) {}

  // The hot path of everything: is the content under this address, and of this kind, in the slot?
  bool hit(std::uint32_t slot, BlockKind kind) {
    if (slot == kNone) return false;
    Entry& entry = entries[slot];
    if (entry.block == nullptr || entry.kind != kind) return false;
    entry.referenced = true;
    ++counters.hits;
    return true;
  }
  // Why not.
  Status missed(BlockAddress address, BlockKind kind, std::uint32_t slot);
  std::uint32_t find_or_add(BlockAddress address);
  void drop_if_unused(std::uint32_t slot);
  MutableBlock replace(BlockAddress address, BlockKind kind);
  void mark_dirty(std::uint32_t slot);
  void mark_clean(std::uint32_t slot);
  void keep_frozen_content(Entry& entry);

  void start_read(BlockAddress address, std::byte* buffer);
  void fetched(BlockAddress address, Status status);
  Status check(BlockAddress address, ConstBlock block) const;
  const BlockValidator* validator(BlockKind kind) const;

  void link(List& list, std::uint32_t slot);
  void unlink(List& list, std::uint32_t slot);
  void evict(std::uint32_t slot);

  Device& device;
  const Uuid store;
  const std::size_t capacity;
  BlockPool pool;
  AddressTable table;
  std::vector<Entry> entries;
  std::vector<std::uint32_t> unused;  // slots of entries
  List clean, dirty;
  std::vector<BlockAddress> frozen_addresses;
  bool is_frozen = false;
  std::vector<std::pair<BlockKind, BlockValidator>> validators;
  Counters counters;
};

// -- lists --------------------------------------------------------------------------------------

void BlockCache::Impl::link(List& list, std::uint32_t slot) {
  Entry& entry = entries[slot];
  entry.previous = kNone;
  entry.next = list.front;
  if (list.front != kNone) entries[list.front].previous = slot;
  list.front = slot;
  if (list.back == kNone) list.back = slot;
  ++list.size;
}

void BlockCache::Impl::unlink(List& list, std::uint32_t slot) {
  Entry& entry = entries[slot];
  (entry.previous == kNone ? list.front : entries[entry.previous].next) = entry.next;
  (entry.next == kNone ? list.back : entries[entry.next].previous) = entry.previous;
  entry.previous = entry.next = kNone;
  --list.size;
}

void BlockCache::Impl::mark_dirty(std::uint32_t slot) {
  Entry& entry = entries[slot];
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
void BlockCache::Impl::keep_frozen_content(Entry& entry) {
  assert(entry.frozen);
  if (entry.copy != nullptr) return;
  entry.copy = pool.take();
  std::memcpy(entry.copy, entry.block, kBlockSize);
  seal_checksum(mutable_block(entry.copy));
}

// -- entries ------------------------------------------------------------------------------------

Status BlockCache::Impl::missed(BlockAddress address, BlockKind kind, std::uint32_t slot) {
  if (slot == kNone || entries[slot].block == nullptr) {
    ++counters.misses;
    return Status::need_block(address.value);
  }
  return Status(Code::corrupt, "metadata block " + std::to_string(address.value) + " is a " +
                                   kind_name(entries[slot].kind) + ", not a " + kind_name(kind));
}

std::uint32_t BlockCache::Impl::find_or_add(BlockAddress address) {
  std::uint32_t slot = table.find(address);
  if (slot != kNone) return slot;
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
  Entry& entry = entries[slot];
  if (entry.block != nullptr || entry.frozen || entry.fetch != nullptr) return;
  table.erase(entry.address);
  entry = Entry();
  unused.push_back(slot);
}

// Makes the entry dirty with content of this kind that the caller is about to write whole.
MutableBlock BlockCache::Impl::replace(BlockAddress address, BlockKind kind) {
  const std::uint32_t slot = find_or_add(address);
  Entry& entry = entries[slot];
  if (entry.fetch != nullptr) entry.fetch->outdated = true;
  if (entry.block != nullptr) {
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
  Entry& entry = entries[slot];
  unlink(clean, slot);
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
  assert(slot != kNone && entries[slot].fetch != nullptr);
  Entry& entry = entries[slot];
  if (entry.block == nullptr && entry.fetch->outdated && !entry.frozen) {
    // Its home may have been written since the read was sent: what came is not to be trusted.
    entry.fetch->outdated = false;
    start_read(address, entry.fetch->buffer);
    return;
  }
  const std::unique_ptr<Fetch> fetch = std::move(entry.fetch);
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

// -- the public face ------------------------------------------------------------------------------

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

Result<MutableBlock> BlockCache::edit(BlockAddress address, BlockKind kind) {
  const std::uint32_t slot = impl_->table.find(address);
  if (!impl_->hit(slot, kind)) return impl_->missed(address, kind, slot);
  impl_->mark_dirty(slot);
  return mutable_block(impl_->entries[slot].block);
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
  if (slot == kNone) return;
  Entry& entry = impl_->entries[slot];
  if (entry.fetch != nullptr) entry.fetch->outdated = true;
  if (entry.block == nullptr) return;
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

void BlockCache::fetch(BlockAddress address, std::function<void(Status)> done) {
  const std::uint32_t slot = impl_->find_or_add(address);
  Entry& entry = impl_->entries[slot];
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
  entry.fetch = std::make_unique<Fetch>();
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

void BlockCache::trim() {
  // Twice round at most: once to take the marks of use away, once to find what may go.
  std::size_t steps = 2 * impl_->clean.size;
  while (impl_->pool.used() > impl_->capacity && steps-- > 0) {
    const std::uint32_t slot = impl_->clean.back;
    if (slot == kNone) return;
    Entry& entry = impl_->entries[slot];
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
  while (impl_->dirty.front != kNone) {
    const std::uint32_t slot = impl_->dirty.front;
    impl_->unlink(impl_->dirty, slot);
    Entry& entry = impl_->entries[slot];
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
  assert(slot != kNone && impl_->entries[slot].frozen);
  Entry& entry = impl_->entries[slot];
  impl_->keep_frozen_content(entry);
  return const_block(entry.copy);
}

void BlockCache::thaw() {
  assert(impl_->is_frozen);
  impl_->is_frozen = false;
  for (const BlockAddress address : impl_->frozen_addresses) {
    const std::uint32_t slot = impl_->table.find(address);
    assert(slot != kNone);
    Entry& entry = impl_->entries[slot];
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
