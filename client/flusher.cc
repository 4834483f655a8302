// SPDX-License-Identifier: Apache-2.0
#include "client/flusher.h"

#include <utility>

#include "client/io_batch.h"

namespace csnap {

Status Flusher::flush_device() {
  CSNAP_ASSIGN(auto queue, device_.take());
  IoBatch batch(std::move(queue));
  batch.flush();
  return batch.wait();
}

Status Flusher::flush() {
  std::unique_lock lock(mutex_);
  // Only a flush that starts from now on will do.
  const std::uint64_t wanted = started_ + 1;
  while (ended_ < wanted) {
    if (running_) {
      changed_.wait(lock);
      continue;
    }
    running_ = true;
    const std::uint64_t mine = ++started_;
    lock.unlock();
    Status status;
    if (dirty_.exchange(false)) {
      status = flush_device();
      if (!status.ok()) dirty_ = true;
    }
    lock.lock();
    running_ = false;
    ended_ = mine;
    if (!status.ok()) {
      last_failed_ = mine;
      failure_ = status;
    }
    changed_.notify_all();
    if (!status.ok()) return status;
  }
  return last_failed_ >= wanted ? failure_ : Status();
}

}  // namespace csnap
