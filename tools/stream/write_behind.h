// SPDX-License-Identifier: Apache-2.0
// Gathers writes to a volume into large batches, which several threads carry out. Batches that
// overlap are carried out one after the other, so later writes win.
// Threading: the public functions from one thread. Errors: of a write, from some later call; from
// then on nothing more is written.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "client/csnap.h"
#include "store/aligned_buffer.h"

namespace csnap {

class WriteBehind {
 public:
  explicit WriteBehind(Volume& volume);
  ~WriteBehind();  // what was not drained may not have been written
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  Status write(std::uint64_t offset, std::span<const std::byte> data);
  // Waits until all is written.
  Status drain();
  // Of writes whose offsets only grew, all that lay below this offset are written; but when
  // failure(), asked after it, is not ok.
  std::uint64_t written_below();
  Status failure();
  std::uint64_t end() const { return end_; }  // of the last write

 private:
  static constexpr std::size_t kBatchBytes = 2u << 20;
  static constexpr unsigned kThreads = 6;
  static constexpr std::size_t kBatches = 10;

  enum class Phase : std::uint8_t { free, filling, waiting, writing };
  struct Batch {
    Phase phase = Phase::free;
    AlignedBuffer buffer;
    std::size_t used = 0;
    std::vector<WritePart> parts;
    std::uint64_t from = 0, to = 0;
  };

  void work();
  Status take_batch();
  void send_off();

  Volume& volume_;
  Batch* filling_ = nullptr;
  std::uint64_t end_ = 0;

  std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  std::vector<Batch> batches_;
  Status failure_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace csnap
