// SPDX-License-Identifier: Apache-2.0
// Waiting in a thread that may be asked to end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace csnap {

// Waits so long, or until the thread is asked to end; whether it was.
inline bool stop_within(const std::stop_token& stop, std::chrono::milliseconds time) {
  std::mutex mutex;
  std::condition_variable_any asked;
  std::unique_lock lock(mutex);
  asked.wait_for(lock, stop, time, [] { return false; });
  return stop.stop_requested();
}

}  // namespace csnap
