// SPDX-License-Identifier: Apache-2.0
// Who uses which block: one bit per 4 KiB block, set when used. A chunk is free when all its
// blocks are. Metadata takes single blocks, out of chunks already broken into when it can;
// exceptions take whole chunks.
//
// Three states matter beyond the bit. A *reserved* run was found for a copy that is under way: its
// bits are still clear, nobody else gets it. A *held* run was freed but may not be used yet (the
// free is not durable, a client may still read it, or a checkpoint may still write a block home).
// Both live in memory only and are one set here: the avoid set.
//
// The bits themselves change only when a record of the journal is applied, so that replaying the
// journal gives the same bitmap.
// Threading: the engine's thread. Misses: need_block, with nothing changed.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "store/block_cache.h"
#include "store/status.h"
#include "store/superblock.h"
#include "store/types.h"

namespace csnap {

// Bits in one bitmap block: 126 runs of 256 blocks, so that a chunk never straddles two.
inline constexpr std::uint64_t kBitsPerBitmapBlock = kBlockPayload * 8;  // 32256

// Blocks for the tree. The tree asks ensure() before it changes anything.
class BlockAllocator {
 public:
  virtual ~BlockAllocator() = default;
  // After ok, the next n allocate_block() calls succeed. need_block or no_space otherwise.
  virtual Status ensure(std::uint64_t n) = 0;
  virtual BlockAddress allocate_block() = 0;
  // Marks it free and holds it until release_blocks_freed_before(). REQUIRES: prepare_free(address)
  // was ok and nothing was trimmed since.
  virtual void free_block(BlockAddress address) = 0;
  // ok when free_block(address) would find its bitmap block in memory.
  virtual Status prepare_free(BlockAddress address) = 0;
};

class Space : public BlockAllocator {
 public:
  // layout lives in the superblock and is kept up to date here (counts, cursor, bitmap_ready).
  Space(BlockCache& cache, SpaceLayout& layout);

  // -- exceptions ------------------------------------------------------------------------------
  // Finds and reserves 1 to wanted neighbouring free chunks, at `near` when it is free, else from
  // the cursor on. Keeps at least `leave` blocks free for metadata. no_space, need_block.
  Result<StoreRun> reserve_chunks(std::uint64_t wanted, std::uint64_t leave);
  // A reservation that came to nothing.
  void unreserve(StoreRun run);
  // Holds or unholds any run, free or not (clients' pools; replay).
  void hold(StoreRun run);
  void unhold(StoreRun run);
  bool is_held(StoreChunk chunk) const;
  // Are the bitmap blocks of the run in memory (created if never written)?
  Status prepare(StoreRun run);
  // Sets the bits and ends the reservation or hold. corrupt if a bit is set already.
  Status mark_used(StoreRun run);
  // Clears the bits and holds the run; corrupt if a bit is clear already. The owner unholds it.
  Status mark_free(StoreRun run);
  Result<bool> is_used(StoreChunk chunk);

  // -- metadata blocks -----------------------------------------------------------------------
  Status ensure(std::uint64_t n) override;
  BlockAddress allocate_block() override;
  Status prepare_free(BlockAddress address) override;
  void free_block(BlockAddress address) override;
  // Blocks freed up to now may not be used before the checkpoint that starts now is complete:
  // returns a ticket for release_freed_blocks().
  std::vector<BlockAddress> take_freed_blocks();
  void release_freed_blocks(const std::vector<BlockAddress>& blocks);

  std::uint64_t free_chunks() const { return layout_.free_chunks; }
  // Free chunks that are neither reserved nor held.
  std::uint64_t available_chunks() const;
  std::uint64_t held_runs() const;
  const SpaceLayout& layout() const { return layout_; }

 private:
  SpaceLayout& layout_;
  BlockCache& cache_;
  // The rest is the owner's: an interval set of avoided blocks, a pool for ensure(), freed blocks,
  // and what is known of each bitmap block's free count.
};

}  // namespace csnap
