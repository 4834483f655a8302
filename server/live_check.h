// SPDX-License-Identifier: Apache-2.0
// A check of a store while it serves, in small steps between which everything may change. What is
// checked:
//   the copies on disk of superblocks, tables, bitmaps, checksums and tree: their checksums and
//   identity, where no newer content is on its way to them;
//   the tree: order, ranges, masks; every exception in space that counts as used, none twice;
//   the bitmaps: nothing used that belongs to nobody (a leak), nothing of somebody's that is free;
//   on request, the data of every chunk that has a checksum.
// It keeps what it has seen up to date as the store changes (StoreWatcher), so that what it
// compares is always of one moment. Not checked: the journal, which recovery reads (csnap-check
// does). Memory: one bit a chunk of the store, and an address for each tree block. Threading: the
// engine's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "server/store_state.h"

namespace csnap {

struct LiveFinding {
  bool damage = true;  // else a leak: space that belongs to nobody
  std::string what;
  ChunkRun chunks;     // of the volumes, whose data this concerns; count 0: none, or not known
  ShareMask mask = 0;  // for these snapshots
};

class LiveCheck : public StoreWatcher {
 public:
  // What a step wants done before the next one.
  struct Wants {
    // Blocks whose copies on disk are to be compared: read, check_block(), then on_disk().
    std::vector<std::pair<BlockAddress, BlockKind>> blocks;
    // Chunks whose data is to be compared with their checksums; then data_failed() if it differs.
    std::vector<std::pair<ChunkRun, StoreChunk>> data;
  };

  // allowed: bits that may be in masks, asked for at every leaf.
  LiveCheck(StoreState& state, bool data, std::function<ShareMask()> allowed);
  ~LiveCheck() override;
  LiveCheck(const LiveCheck&) = delete;
  LiveCheck& operator=(const LiveCheck&) = delete;

  // need_block: fetch it and call again; when that fails, tell unreadable() first. Never anything
  // else but ok. REQUIRES: !done().
  Status step(Wants& wants);
  void unreadable(BlockAddress block, const Status& why);
  void on_disk(BlockAddress block, BlockKind kind, const Status& status);
  void data_failed(ChunkRun chunk, StoreChunk store, const Status& status);

  bool done() const { return phase_ == Phase::done; }
  double progress() const;  // 0 to 1
  std::vector<LiveFinding> take_findings() { return std::exchange(findings_, {}); }

  struct Counters {
    std::uint64_t blocks = 0;      // compared on disk
    std::uint64_t exceptions = 0;  // store chunks
    std::uint64_t lost = 0;        // chunks known to be lost since a repair
    std::uint64_t data = 0;        // chunks whose data was compared
    std::uint64_t leaked = 0;      // blocks of the store
  };
  const Counters& counters() const { return counters_; }

  // -- StoreWatcher ----------------------------------------------------------------------------
  void added(ChunkRun chunks, StoreRun store) override;
  void freed(StoreRun store) override;
  void tree_block_added(BlockAddress block) override;
  void tree_block_freed(BlockAddress block) override;

 private:
  enum class Phase : std::uint8_t { fixed, tree, bitmaps, checksums, done };

  void want(BlockAddress block, BlockKind kind, Wants& wants);
  void step_fixed(Wants& wants);
  Status step_tree(Wants& wants);
  Status descend(ConstBlock& leaf, Wants& wants);
  Status visit_leaf(ConstBlock block, Wants& wants);
  Status visit_entry(const LeafEntry& entry, Wants& wants);
  Status step_bitmaps(Wants& wants);
  void look_at_bit(std::uint64_t block, bool in_data);
  void step_checksums(Wants& wants);
  void finish();
  void damage(std::string what, ChunkRun chunks = {}, ShareMask mask = 0);
  void bad_block(BlockKind kind, BlockAddress block, const std::string& why);
  // Does the chunk count as used? Nothing when its bitmap block is bad.
  Result<std::optional<bool>> counts_as_used(StoreChunk c) const;

  bool seen(StoreChunk c) const { return seen_[c.value / 64] >> (c.value % 64) & 1; }
  void see(StoreChunk c);
  bool in_bitmaps_passed(BlockAddress block) const;

  StoreState& state_;
  const bool data_;
  const std::function<ShareMask()> allowed_;
  Phase phase_ = Phase::fixed;
  std::vector<std::uint64_t> seen_;  // chunks of exceptions before cursor_
  std::uint64_t seen_count_ = 0;
  std::unordered_set<BlockAddress> tree_;  // its blocks, as far as they have been met
  std::uint64_t tree_used_ = 0;            // of those, in the bitmaps passed
  Chunk cursor_;                           // everything below has been visited
  std::uint64_t group_ = 0;                // next bitmap block
  bool metadata_space_ = false;            // group_ is of the metadata device's own bitmap
  std::uint64_t checksum_ = 0;             // next block of the checksum table
  // Where the last descent was when a block was missing.
  BlockAddress missing_;
  ChunkRun missing_keys_;
  ShareMask missing_mask_ = 0;
  bool whole_ = true;  // no part of the tree was passed over

  std::unordered_set<BlockAddress> bad_;  // of bitmaps and checksums: told once
  std::vector<LiveFinding> findings_;
  Counters counters_;
};

}  // namespace csnap
