// SPDX-License-Identifier: Apache-2.0
#include "store/work_threads.h"

#include <algorithm>
#include <utility>

namespace csnap {

WorkThreads::~WorkThreads() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void WorkThreads::add(std::vector<Work>& work) {
  if (work.empty()) return;
  std::size_t wanted = 0;
  {
    const std::lock_guard lock(mutex_);
    for (auto& one : work) waiting_.push_back(std::move(one));
    wanted = std::min(work.size(), asleep_);
    while (wanted < work.size() && threads_.size() < count_) {
      threads_.emplace_back([this] { run(); });
      ++wanted;
    }
  }
  work.clear();
  for (; wanted > 0; --wanted) wake_.notify_one();
}

void WorkThreads::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++asleep_;
    wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    --asleep_;
    if (waiting_.empty()) return;
    const Work work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace csnap
