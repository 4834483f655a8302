// SPDX-License-Identifier: Apache-2.0
// Who uses which block: one bit per 4 KiB block, set when used. A chunk is free when all its
// blocks are. Metadata takes single blocks, out of chunks already broken into when it can;
// exceptions take whole chunks.
//
// Two states matter beyond the bit. A *reserved* run was found for a copy that is under way: its
// bits are still clear, nobody else gets it. A *held* run was freed but may not be used yet (the
// free is not durable, a client may still read it, or a checkpoint may still write a block home),
// or is set aside (a client's pool, what replay will need). Both live in memory only and are one
// set here: the avoid set. It counts: a block that is held for two reasons is free to use when
// both have gone.
//
// The bits of data chunks change only when a record of the journal is applied, so that replaying
// the journal gives the same bitmap. Bitmap blocks that were never written are made in the cache
// when first needed.
// Threading: the engine's thread. Misses: need_block, with nothing changed but where the next
// search begins. Construct after checkpoint images were installed in the cache: what was seen of
// the bitmaps is remembered.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <set>
#include <vector>

#include "store/block_cache.h"
#include "store/interval_set.h"
#include "store/status.h"
#include "store/superblock.h"
#include "store/types.h"

namespace csnap {

// Bits in one bitmap block: 126 runs of 256 blocks, so that a chunk never straddles two.
inline constexpr std::uint64_t kBitsPerBitmapBlock = kBlockPayload * 8;  // 32256

constexpr std::uint64_t bitmap_blocks_for(std::uint64_t blocks) {
  return (blocks + kBitsPerBitmapBlock - 1) / kBitsPerBitmapBlock;
}

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
  // Finds and reserves 1 to wanted (>= 1) neighbouring free chunks, from the cursor on: the first
  // run that is long enough, or the longest of those that lie near. Keeps at least `leave` blocks
  // for metadata: neither used nor avoided. no_space only when there is no chunk; need_block.
  Result<StoreRun> reserve_chunks(std::uint64_t wanted, std::uint64_t leave);
  // A reservation that came to nothing. REQUIRES: the run is reserved.
  void unreserve(StoreRun run);
  // Adds or takes one hold on every chunk of any run, free or not (clients' pools; replay). What
  // lies beyond the space is passed over. unhold() REQUIRES: every chunk is held or reserved.
  void hold(StoreRun run);
  void unhold(StoreRun run);
  // Held or reserved.
  bool is_held(StoreChunk chunk) const;
  // Are the bitmap blocks of the run in memory (created if never written)? corrupt when the run is
  // not of chunks that can hold data.
  Status prepare(StoreRun run);
  // Sets the bits; holds and reservations stay until whoever made them takes them back. corrupt if
  // a bit is set already, with nothing changed.
  Status mark_used(StoreRun run);
  // Clears the bits and holds the run (once more); corrupt if a bit is clear already, with nothing
  // changed. The owner unholds it.
  Status mark_free(StoreRun run);
  // Is any block of it?
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

  // Somebody changed bitmap blocks in the cache, not through this: forgets what was seen of them.
  void bitmaps_changed();

  std::uint64_t free_chunks() const { return layout_.free_chunks; }
  // Free chunks that are neither reserved nor held. May say too few, never too many, while bitmaps
  // of held runs are not in memory. Visits every held run when chunks have several blocks.
  std::uint64_t available_chunks() const;
  // Runs in the avoid set; neighbours alike count as one.
  std::uint64_t held_runs() const { return avoid_.runs(); }
  const SpaceLayout& layout() const { return layout_; }

 private:
  static constexpr std::uint64_t kNoGroup = ~std::uint64_t{0};
  // What may not be taken of the blocks under one bitmap block: used, avoided, reserved for the
  // fixed areas, or beyond the end. Kept up to date with every change while it is here.
  struct View {
    std::uint64_t group = kNoGroup;
    std::array<std::uint64_t, kBitsPerBitmapBlock / 64> words{};
  };
  struct BlockRange {
    std::uint64_t from, to;
    bool empty() const { return from >= to; }
  };
  // Said of a bitmap block, until something under it comes free.
  static constexpr std::uint8_t kNoChunk = 1;  // no chunk can be taken
  static constexpr std::uint8_t kNoBlock = 2;  // no block can be taken

  std::uint64_t per_chunk() const {
    return std::uint64_t{1} << (layout_.chunk_shift - kBlockShift);
  }
  BlockRange blocks_of(StoreRun run) const;  // cut at the end of the space
  Status check_run(StoreRun run) const;
  BlockAddress bitmap_address(std::uint64_t group) const { return layout_.bitmap + group; }
  Result<std::span<const std::byte>> bits_of(std::uint64_t group) const;
  std::span<std::byte> edit_bits(std::uint64_t group);
  Status require_bits(BlockRange range, bool used);
  bool chunk_is_clear(std::uint64_t block) const;

  void avoid(BlockRange range, AvoidSet::Fill fill);
  void unavoid(BlockRange range);
  void came_free(BlockRange range, AvoidSet::Fill fill);
  void mark_busy(BlockRange range);
  void mark_idle(BlockRange range);
  Status learn(BlockRange range);
  Status learn_all();
  std::uint64_t spare_blocks() const;

  Status look_at(View& view, std::uint64_t group);
  Status look_for_block(std::uint64_t group);
  Result<BlockRange> find_chunks(std::uint64_t wanted);
  void give_picks_back();
  Result<std::uint64_t> pick_block();
  Result<std::uint64_t> pick_loose();
  Result<std::uint64_t> pick_from_extent();
  Result<std::uint64_t> pick_anywhere();
  std::uint8_t& hints(std::uint64_t group) { return hints_[group]; }

  SpaceLayout& layout_;
  BlockCache& cache_;
  AvoidSet avoid_;
  std::deque<std::uint64_t> picks_;  // by ensure(), avoided until allocated
  std::vector<BlockAddress> freed_;  // since take_freed_blocks()

  // What searches remember; never wrong, at worst forgotten.
  View data_view_, metadata_view_;
  std::vector<std::uint8_t> hints_;  // by bitmap block
  std::set<std::uint64_t> loose_;    // bitmap blocks that may have free blocks in broken chunks
  BlockRange extent_{0, 0};          // where metadata blocks come from next
};

}  // namespace csnap
