// SPDX-License-Identifier: Apache-2.0
#include "server/checkpointer.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <memory>

namespace csnap {
namespace {

constexpr int kCheckpointAttempts = 3;
constexpr std::uint64_t kHomesInFlight = 8;
constexpr std::uint64_t kBlocksPerHomeWrite = 64;  // 256 KiB

}  // namespace

Checkpointer::Checkpointer(StoreState& state, Device& metadata, Journal& journal,
                           std::function<void(Status)> fail)
    : state_(state),
      metadata_(metadata),
      journal_(journal),
      fail_(std::move(fail)),
      superblock_block_(kBlockSize) {}

std::uint64_t Checkpointer::images_left() const {
  return images() == 0 ? 0 : images() - logged_;
}

std::uint64_t Checkpointer::images() const {
  return phase_ == Phase::fixed || phase_ == Phase::logging ? blocks_.size() + 1 : 0;
}

Status Checkpointer::begin(Sequence sequence) {
  assert(!active());
  CSNAP_TRY(state_.store_tables());
  state_.superblock().checkpoint = sequence;
  blocks_ = state_.cache().freeze(sequence);
  freed_blocks_ = state_.metadata().take_freed_blocks();
  superblock_ = state_.superblock();
  logged_ = 0;
  complete_ = false;
  phase_ = Phase::fixed;
  return {};
}

void Checkpointer::may_log() {
  assert(phase_ == Phase::fixed);
  superblock_.tail = journal_.head();
  phase_ = Phase::logging;
}

void Checkpointer::add_images(CommitContent& content, std::size_t limit) {
  assert(phase_ == Phase::logging && !complete_);
  content.checkpoint = superblock_.checkpoint;
  while (limit > 0 && logged_ < blocks_.size()) {
    content.images.push_back({blocks_[logged_], state_.cache().frozen_block(blocks_[logged_])});
    ++logged_;
    --limit;
  }
  if (limit == 0) return;
  encode_superblock(superblock_, kSuperblockA, superblock_block_.span());
  content.images.push_back({kSuperblockA, superblock_block_.span()});
  ++logged_;
  content.checkpoint_complete = complete_ = true;
}

void Checkpointer::images_durable() {
  assert(phase_ == Phase::logging);
  if (!complete_) return;
  phase_ = Phase::homing;
  next_home_ = 0;
  attempts_ = 0;
  write_homes();
}

void Checkpointer::write_homes() {
  while (next_home_ < blocks_.size() && homes_in_flight_ < kHomesInFlight) {
    std::uint64_t count = 1;
    while (next_home_ + count < blocks_.size() && count < kBlocksPerHomeWrite &&
           blocks_[next_home_ + count] == blocks_[next_home_] + count)
      ++count;
    const std::uint64_t first = next_home_;
    next_home_ += count;
    submit_home(first, count);
  }
  if (next_home_ == blocks_.size() && homes_in_flight_ == 0) flush_homes();
}

void Checkpointer::submit_home(std::uint64_t first, std::uint64_t count) {
  auto buffer = std::make_shared<AlignedBuffer>(count * kBlockSize);
  for (std::uint64_t i = 0; i < count; ++i) {
    const ConstBlock block = state_.cache().frozen_block(blocks_[first + i]);
    std::memcpy(buffer->span().data() + i * kBlockSize, block.data(), kBlockSize);
  }
  ++homes_in_flight_;
  metadata_.submit(
      {IoKind::write, blocks_[first].value * kBlockSize, buffer->span(),
       [this, buffer, first, count](Status s) { home_written(std::move(s), first, count); }});
}

void Checkpointer::home_written(Status status, std::uint64_t first, std::uint64_t count) {
  --homes_in_flight_;
  if (!status.ok()) {
    if (retry(status)) submit_home(first, count);
    return;
  }
  write_homes();
}

bool Checkpointer::retry(const Status& status) {
  if (++attempts_ < kCheckpointAttempts) return true;
  fail_(status.with_context("checkpoint"));
  return false;
}

void Checkpointer::flush_homes() {
  phase_ = Phase::superblocks;
  metadata_.submit({IoKind::flush, 0, {}, [this](Status status) {
                      if (status.ok()) return write_superblocks(0);
                      // What a failed flush left on the disk is anybody's guess: write it all
                      // again.
                      if (!retry(status)) return;
                      phase_ = Phase::homing;
                      next_home_ = 0;
                      write_homes();
                    }});
}

// Steps: write A, flush, write B, flush.
void Checkpointer::write_superblocks(int step) {
  if (step == 4) return finish();
  IoRequest request;
  if (step % 2 == 0) {
    const BlockAddress address = step == 0 ? kSuperblockA : kSuperblockB;
    encode_superblock(superblock_, address, superblock_block_.span());
    request = {IoKind::write, address.value * kBlockSize, superblock_block_.span(), {}};
  }
  request.done = [this, step](Status status) {
    if (status.ok()) return write_superblocks(step + 1);
    if (retry(status)) write_superblocks(step % 2 == 0 ? step : step - 1);
  };
  metadata_.submit(std::move(request));
}

void Checkpointer::finish() {
  journal_.set_tail(superblock_.tail);
  state_.superblock().tail = superblock_.tail;
  state_.cache().thaw();
  state_.metadata().release_freed_blocks(freed_blocks_);
  freed_blocks_.clear();
  blocks_.clear();
  ++completed_;
  phase_ = Phase::idle;
}

Status Checkpointer::write_clean() {
  assert(!active());
  Superblock superblock = state_.superblock();
  superblock.tail = journal_.head();
  superblock.clean = true;
  return write_superblock(metadata_, superblock);
}

}  // namespace csnap
