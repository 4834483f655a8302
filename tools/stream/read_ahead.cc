// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/read_ahead.h"

#include <algorithm>
#include <utility>

#include "client/signals_blocked.h"
#include "store/zeros.h"
#include "tools/stream/stream_writer.h"

namespace csnap {

ReadAhead::ReadAhead(Volume& volume, const std::vector<ChunkRun>& runs, const std::string& file,
                     bool skip_zeros)
    : volume_(volume), runs_(runs), file_(file), skip_zeros_(skip_zeros), slots_(kSlots) {
  const SignalsBlocked blocked;
  for (unsigned i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

ReadAhead::~ReadAhead() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

// Which parts the next window has. false: there is nothing left.
bool ReadAhead::cut_window(Slot& slot) {
  if (slot.buffer.empty()) {
    slot.buffer = AlignedBuffer(kWindowBytes);
    slot.window.stream.reserve(kWindowBytes + kWindowBytes / 32);
  }
  const std::uint64_t chunk_size = volume_.chunk_size();
  slot.parts.clear();
  slot.window.read_bytes = 0;
  std::size_t used = 0;
  while (run_ < runs_.size() && used + chunk_size <= kWindowBytes) {
    const ChunkRun& run = runs_[run_];
    const std::uint64_t chunks =
        std::min<std::uint64_t>(run.count - in_run_, (kWindowBytes - used) / chunk_size);
    const std::uint64_t offset = (run.start.value + in_run_) * chunk_size;
    const std::uint64_t length = std::min(chunks * chunk_size, volume_.size() - offset);
    slot.parts.push_back({offset, slot.buffer.span().subspan(used, length)});
    slot.window.read_bytes += length;
    used += chunks * chunk_size;
    in_run_ += chunks;
    if (in_run_ < run.count) break;
    ++run_;
    in_run_ = 0;
  }
  return !slot.parts.empty();
}

void ReadAhead::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(
        lock, [&] { return stop_ || all_cut_ || slots_[next_cut_ % kSlots].phase == Phase::free; });
    if (stop_ || all_cut_) return;
    Slot& slot = slots_[next_cut_ % kSlots];
    if (!cut_window(slot)) {
      all_cut_ = true;
      changed_.notify_all();
      return;
    }
    ++next_cut_;
    slot.phase = Phase::reading;
    lock.unlock();
    fill(slot);
    lock.lock();
    slot.phase = Phase::ready;
    changed_.notify_all();
  }
}

void ReadAhead::fill(Slot& slot) {
  slot.window.stream.clear();
  slot.window.data_bytes = 0;
  slot.status = volume_.read(slot.parts);
  if (!slot.status.ok()) return;
  for (const ReadPart& part : slot.parts) encode(slot, part);
}

void ReadAhead::encode(Slot& slot, const ReadPart& part) const {
  StreamWriter writer(slot.window.stream);
  const auto zero_at = [&](std::size_t at) {
    return all_zero(part.data.subspan(at, std::min(kZeroBlockBytes, part.data.size() - at)));
  };
  for (std::size_t at = 0; at < part.data.size();) {
    if (skip_zeros_ && zero_at(at)) {
      at += kZeroBlockBytes;
      continue;
    }
    std::size_t end = at;
    do {
      end = std::min(end + kZeroBlockBytes, part.data.size());
    } while (end < part.data.size() && end - at < kWriteBytes && !(skip_zeros_ && zero_at(end)));
    writer.write(file_, part.offset + at, part.data.subspan(at, end - at));
    slot.window.data_bytes += end - at;
    at = end;
  }
}

Result<const ReadAhead::Window*> ReadAhead::next() {
  std::unique_lock lock(mutex_);
  if (std::exchange(out_, false)) {
    slots_[next_out_ % kSlots].phase = Phase::free;
    ++next_out_;
    changed_.notify_all();
  }
  Slot& slot = slots_[next_out_ % kSlots];
  changed_.wait(lock,
                [&] { return slot.phase == Phase::ready || (all_cut_ && next_out_ == next_cut_); });
  if (slot.phase != Phase::ready) return static_cast<const Window*>(nullptr);
  out_ = true;
  if (!slot.status.ok()) return slot.status;
  return static_cast<const Window*>(&slot.window);
}

}  // namespace csnap
