// SPDX-License-Identifier: Apache-2.0
// Brings the dirty metadata home, beside new commits.
//   idle -> begin(): at the edge of a commit S, the content of every dirty block is fixed
//   logging: the images ride in the commits after S; the last one makes the checkpoint whole
//   homing: the blocks are written to their homes, flushed; then superblock A, flush, B, flush
//   -> idle: the journal's tail moves behind S
// A crash at any point leaves either the old checkpoint and all records after it, or this one in
// the journal, or this one at home. Threading: the engine's thread. Errors: a write that fails is
// tried again a few times; then fail is called and nothing moves any more.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "journal/journal.h"
#include "server/store_state.h"
#include "store/aligned_buffer.h"

namespace csnap {

class Checkpointer {
 public:
  Checkpointer(StoreState& state, Device& metadata, Journal& journal,
               std::function<void(Status)> fail);

  bool active() const { return phase_ != Phase::idle; }
  bool logging() const { return phase_ == Phase::logging; }
  // Of a checkpoint that is not complete in the journal: those that are not there yet, and all.
  std::uint64_t images_left() const;
  std::uint64_t images() const;

  // Fixes the state as of commit `sequence`. need_block with nothing changed. REQUIRES: !active(),
  // the state in memory is exactly that after this commit.
  Status begin(Sequence sequence);
  // Commit `sequence` is durable and the journal's head is behind it; images may follow.
  void may_log();
  // Adds up to `limit` images to a commit, and says so in it.
  void add_images(CommitContent& content, std::size_t limit);
  // The commit that carried the last add_images() is durable.
  void images_durable();

  // How a clean shutdown marks the superblocks once everything is home. Blocks.
  Status write_clean();
  std::uint64_t completed() const { return completed_; }

 private:
  enum class Phase : std::uint8_t { idle, fixed, logging, homing, superblocks };

  void write_homes();
  void home_written(Status status, std::uint64_t first, std::uint64_t count);
  void submit_home(std::uint64_t first, std::uint64_t count);
  void flush_homes();
  void write_superblocks(int step);
  bool retry(const Status& status);
  void finish();

  StoreState& state_;
  Device& metadata_;
  Journal& journal_;
  std::function<void(Status)> fail_;
  Phase phase_ = Phase::idle;
  std::vector<BlockAddress> blocks_;        // frozen, sorted
  std::vector<BlockAddress> freed_blocks_;  // by commits up to the checkpoint
  Superblock superblock_;                   // as of the checkpoint
  AlignedBuffer superblock_block_;
  std::uint64_t logged_ = 0;  // images in the journal or on their way; the superblock's is the last
  bool complete_ = false;     // the last image is in a commit
  std::uint64_t next_home_ = 0;
  std::uint64_t homes_in_flight_ = 0;
  int attempts_ = 0;
  std::uint64_t completed_ = 0;
};

}  // namespace csnap
