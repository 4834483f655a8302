// SPDX-License-Identifier: Apache-2.0
// Lets the program end when it was unmounted or asked to stop, also when requests wait for a server
// that does not come back: they are given up after some seconds, and the process ends.
// Threading: a thread of its own, from construction to destruction.
#pragma once

#include <stop_token>
#include <thread>

struct fuse_session;

namespace csnap {

class Ending {
 public:
  // The session outlives it. REQUIRES: it is mounted.
  explicit Ending(fuse_session* session);
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

 private:
  void watch(const std::stop_token& stop);

  fuse_session* const session_;
  std::jthread thread_;  // last: it ends first
};

}  // namespace csnap
