// SPDX-License-Identifier: Apache-2.0
// Flushes of one device. Those asked for while one is under way are done by the next one together;
// nothing is done when nothing was written since.
//
// Threading: any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "client/queue_pool.h"
#include "store/status.h"

namespace csnap {

class Flusher {
 public:
  explicit Flusher(QueuePool& device) : device_(device) {}

  // A write to the device has completed.
  void wrote() {
    if (!dirty_.load()) dirty_.store(true);
  }
  // Every write is durable whose wrote() returned before.
  Status flush();

 private:
  Status flush_device();

  QueuePool& device_;
  std::atomic<bool> dirty_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = false;
  std::uint64_t started_ = 0;  // flushes
  std::uint64_t ended_ = 0;
  std::uint64_t last_failed_ = 0;  // which flush failed last
  Status failure_;                 // how
};

}  // namespace csnap
