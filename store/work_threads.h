// SPDX-License-Identifier: Apache-2.0
// A few threads that carry out what they are given, in the order in which it came. They start with
// the first of it. For BlockTreeDevice.
// Threading: add() by any thread; what is given runs on the threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace csnap {

class WorkThreads {
 public:
  using Work = std::function<void()>;  // throws nothing

  explicit WorkThreads(std::size_t count) : count_(count) {}
  // Carries out what is left.
  ~WorkThreads();
  WorkThreads(const WorkThreads&) = delete;
  WorkThreads& operator=(const WorkThreads&) = delete;

  // Leaves it empty.
  void add(std::vector<Work>& work);

 private:
  void run();

  const std::size_t count_;
  std::mutex mutex_;  // over the rest
  std::condition_variable wake_;
  std::deque<Work> waiting_;
  std::size_t asleep_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace csnap
