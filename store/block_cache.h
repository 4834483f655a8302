// SPDX-License-Identifier: Apache-2.0
// The metadata blocks in memory. Bounded: clean blocks are given up when there are too many;
// dirty ones are pinned until a checkpoint has written them home (no-steal).
//
// Threading: the thread that owns the device. Destroyed only when none of its fetches is in flight.
// Pointers: spans stay valid until the next trim(), forget() of that block, or fetch completion;
// nothing else evicts. So an operation reads and edits any number of blocks without fear, and
// its owner calls trim() between operations.
// Checkpoints: freeze() fixes the content of every dirty block; editing such a block afterwards
// works on a copy, so commits go on while the frozen content is written. thaw() ends it.
// Every block that comes from the disk is checked (kind known, own address, store UUID, CRC-32C,
// and the validator of its kind); one that fails is an error (corrupt) to whoever wanted it, and
// is not kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "store/block_format.h"
#include "store/device.h"
#include "store/status.h"
#include "store/types.h"
#include "store/uuid.h"

namespace csnap {

using ConstBlock = std::span<const std::byte>;  // kBlockSize bytes, header included
using MutableBlock = std::span<std::byte>;

// Checks the payload of one kind of block after header and checksum have passed. Names what is
// wrong; does no I/O.
using BlockValidator = std::function<Status(ConstBlock)>;

class BlockCache {
 public:
  // capacity in bytes; at least 64 blocks are kept whatever it says.
  BlockCache(Device& device, const Uuid& store, std::size_t capacity);
  ~BlockCache();

  void set_validator(BlockKind kind, BlockValidator validator);

  // need_block when it is not in memory, corrupt when it is of another kind.
  Result<ConstBlock> read(BlockAddress address, BlockKind kind);
  // As read(), but null whatever is the matter: for who asks often and rarely wants to know.
  const std::byte* find(BlockAddress address, BlockKind kind);
  // As read(), and marks it dirty.
  Result<MutableBlock> edit(BlockAddress address, BlockKind kind);
  // Hints to the processor about a block that is about to be read: first asks for its place in the
  // table of addresses, then, once that has come, for what is known of it, then for its content.
  void prefetch_place(BlockAddress address) const;
  void prefetch_entry(BlockAddress address) const;
  // The content, if it is in memory and of this kind, else null. Counts as no use of it.
  const std::byte* peek(BlockAddress address, BlockKind kind) const;
  // Grows whenever a node in memory is edited or replaced, or goes. As long as it stays the same,
  // every way that was gone by way of nodes in memory is there and leads to where it led.
  std::uint64_t node_changes() const;
  // A new block, zero but for its header, dirty. Replaces what was cached under the address.
  MutableBlock create(BlockAddress address, BlockKind kind);
  // Puts a whole block (a checkpoint image found in the journal) in as dirty. REQUIRES: verified.
  void install(BlockAddress address, ConstBlock block);
  // Is its content newer than what its home is sure to have?
  bool is_ahead(BlockAddress address) const;
  // The block was freed: its content need not reach its home. Its frozen content still will.
  void forget(BlockAddress address);

  // Reads the block; done(ok) once it is in memory. Several fetches of one block are one read.
  // done is called from the device's poll(), or at once when the block is there already.
  void fetch(BlockAddress address, std::function<void(Status)> done);
  // As fetch(), blocking.
  Status fetch_sync(BlockAddress address);
  // Reads these at once, blocking. What cannot be read is told to who asks for it; false if there
  // is any.
  bool fetch_all(std::span<const BlockAddress> addresses);
  // Gives up clean blocks, least recently used first, until the cache fits its capacity.
  void trim();

  std::size_t capacity() const;  // blocks
  std::size_t size() const;      // blocks in memory, frozen copies included
  std::size_t dirty() const;     // blocks that a checkpoint would write now
  // Dirty blocks at which a checkpoint should start: half the capacity.
  std::size_t dirty_limit() const { return capacity() / 2; }

  // Fixes every dirty block's content as of now, and writes sequence into their headers; the
  // cache has no dirty blocks after it. Returns their addresses, sorted. REQUIRES: not frozen.
  std::vector<BlockAddress> freeze(Sequence sequence);
  bool frozen() const;
  // The frozen content, its checksum filled in: ready to be written. REQUIRES: address came
  // from freeze().
  ConstBlock frozen_block(BlockAddress address);
  // The frozen blocks are home: forget the copies; those not edited since are clean.
  void thaw();

  struct Counters {
    std::uint64_t hits = 0, misses = 0, evictions = 0;
  };
  const Counters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Fills in kind, address, UUID, sequence and last the checksum of a block.
void seal_block(MutableBlock block, BlockKind kind, BlockAddress address, const Uuid& store,
                Sequence sequence);
// Only the checksum, over a header that is filled in already.
void seal_checksum(MutableBlock block);
// Is this the block that should be at this address? Names every difference.
Status check_block(ConstBlock block, BlockKind kind, BlockAddress address, const Uuid& store);
// As check_block() for any kind this build knows.
Status check_any_block(ConstBlock block, BlockAddress address, const Uuid& store);
BlockKind kind_of(ConstBlock block);
// "leaf", "bitmap", ... for messages.
const char* kind_name(BlockKind kind);

}  // namespace csnap
