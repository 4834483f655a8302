// SPDX-License-Identifier: Apache-2.0
#include "store/flush_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace csnap {

FlushThread::FlushThread(int fd, int event_fd)
    : fd_(fd), event_fd_(event_fd), thread_([this] { run(); }) {}

FlushThread::~FlushThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void FlushThread::submit(void* token) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(token);
  }
  wake_.notify_one();
}

std::vector<FlushThread::Finished> FlushThread::collect() {
  const std::lock_guard lock(mutex_);
  return std::exchange(finished_, {});
}

void FlushThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (stop_) return;
    // One call covers all that were asked for before it.
    const std::deque<void*> batch = std::exchange(waiting_, {});
    lock.unlock();
    int error = 0;
    while (::fdatasync(fd_) != 0) {
      error = errno;
      if (error != EINTR) break;
      error = 0;
    }
    lock.lock();
    for (void* token : batch) finished_.push_back({token, error});
    ::eventfd_write(event_fd_, 1);
  }
}

}  // namespace csnap
