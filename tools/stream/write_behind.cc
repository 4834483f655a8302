// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/write_behind.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "client/signals_blocked.h"

namespace csnap {

WriteBehind::WriteBehind(Volume& volume) : volume_(volume), batches_(kBatches) {
  const SignalsBlocked blocked;
  for (unsigned i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

WriteBehind::~WriteBehind() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void WriteBehind::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    Batch* batch = nullptr;
    changed_.wait(lock, [&] {
      const auto it = std::ranges::find(batches_, Phase::waiting, &Batch::phase);
      batch = it == batches_.end() ? nullptr : &*it;
      return stop_ || batch != nullptr;
    });
    if (stop_) return;
    batch->phase = Phase::writing;
    if (failure_.ok()) {
      lock.unlock();
      Status status = volume_.write(batch->parts);
      lock.lock();
      if (failure_.ok()) failure_ = std::move(status);
    }
    batch->phase = Phase::free;
    changed_.notify_all();
  }
}

// Sets filling_ to an empty batch; to none when it fails.
Status WriteBehind::take_batch() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    const auto it = std::ranges::find(batches_, Phase::free, &Batch::phase);
    filling_ = it == batches_.end() ? nullptr : &*it;
    return filling_ != nullptr;
  });
  if (!failure_.ok()) {
    filling_ = nullptr;
    return failure_;
  }
  filling_->phase = Phase::filling;
  filling_->used = 0;
  filling_->parts.clear();
  if (filling_->buffer.empty()) filling_->buffer = AlignedBuffer(kBatchBytes);
  return {};
}

void WriteBehind::send_off() {
  Batch* batch = std::exchange(filling_, nullptr);
  if (batch == nullptr) return;
  std::unique_lock lock(mutex_);
  batch->from = batch->parts.front().offset;
  batch->to = batch->parts.back().offset + batch->parts.back().data.size();
  changed_.wait(lock, [&] {
    return std::ranges::none_of(batches_, [&](const Batch& other) {
      return (other.phase == Phase::waiting || other.phase == Phase::writing) &&
             other.from < batch->to && batch->from < other.to;
    });
  });
  batch->phase = Phase::waiting;
  changed_.notify_all();
}

Status WriteBehind::write(std::uint64_t offset, std::span<const std::byte> data) {
  end_ = offset + data.size();
  while (!data.empty()) {
    if (filling_ != nullptr) {
      const WritePart& last = filling_->parts.back();
      if (offset < last.offset + last.data.size() || filling_->used == kBatchBytes) send_off();
    }
    if (filling_ == nullptr) CSNAP_TRY(take_batch());
    auto& parts = filling_->parts;
    const bool goes_on = !parts.empty() && parts.back().offset + parts.back().data.size() == offset;
    std::size_t at = filling_->used;
    if (!goes_on) {
      // Memory that a device takes.
      at = std::min((at + AlignedBuffer::kAlignment - 1) / AlignedBuffer::kAlignment *
                        AlignedBuffer::kAlignment,
                    kBatchBytes);
    }
    const std::size_t n = std::min(data.size(), kBatchBytes - at);
    if (n > 0) {
      std::byte* to = filling_->buffer.data() + at;
      std::memcpy(to, data.data(), n);
      if (goes_on)
        parts.back().data = {parts.back().data.data(), parts.back().data.size() + n};
      else
        parts.push_back({offset, {to, n}});
    }
    filling_->used = at + n;
    offset += n;
    data = data.subspan(n);
  }
  return {};
}

Status WriteBehind::drain() {
  send_off();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return std::ranges::all_of(batches_,
                               [](const Batch& batch) { return batch.phase == Phase::free; });
  });
  return failure_;
}

Status WriteBehind::failure() {
  std::lock_guard lock(mutex_);
  return failure_;
}

std::uint64_t WriteBehind::written_below() {
  std::uint64_t below = end_;
  if (filling_ != nullptr) below = std::min(below, filling_->parts.front().offset);
  std::lock_guard lock(mutex_);
  for (const Batch& batch : batches_)
    if (batch.phase == Phase::waiting || batch.phase == Phase::writing)
      below = std::min(below, batch.from);
  return below;
}

}  // namespace csnap
