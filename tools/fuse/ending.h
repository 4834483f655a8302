// SPDX-License-Identifier: Apache-2.0
// Lets the program end when it was unmounted or asked to stop, also when requests wait for a server
// that does not come back: they are given up after some seconds, and the process ends.
// Threading: a thread of its own, from construction to destruction.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

struct fuse_session;

namespace csnap {

class Ending {
 public:
  // The session outlives it. REQUIRES: it is mounted.
  explicit Ending(fuse_session* session);
  ~Ending();

 private:
  void watch();

  fuse_session* const session_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace csnap
