// SPDX-License-Identifier: Apache-2.0
// fdatasync() for files whose kernel driver cannot do it asynchronously: one thread that calls it
// and signals an eventfd. For AioDevice.
// Threading: submit() and collect() by the owner; the thread is private.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace csnap {

class FlushThread {
 public:
  // Neither descriptor is owned; both must outlive it.
  FlushThread(int fd, int event_fd);
  // Waits for the flush that is under way; the others are not begun.
  ~FlushThread();
  FlushThread(const FlushThread&) = delete;
  FlushThread& operator=(const FlushThread&) = delete;

  struct Finished {
    void* token;
    int error;  // errno, or 0
  };
  void submit(void* token);
  std::vector<Finished> collect();

 private:
  void run();

  const int fd_;
  const int event_fd_;
  std::mutex mutex_;  // over the rest
  std::condition_variable wake_;
  std::deque<void*> waiting_;
  std::vector<Finished> finished_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace csnap
