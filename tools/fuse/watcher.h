// SPDX-License-Identifier: Apache-2.0
// Tells the kernel what became of snapshots elsewhere, so that nothing it remembers outlives them.
// Threading: a thread of its own, from construction to destruction.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "tools/fuse/file_system.h"

namespace csnap {

class Watcher {
 public:
  // The session outlives it. REQUIRES: it is mounted.
  Watcher(const std::vector<std::string>& servers, const Uuid& store, fuse_session* session);
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

 private:
  using Names = std::map<std::uint64_t, std::string>;  // by id
  void watch(const std::stop_token& stop);
  void tell(const Names& now);

  Snapshots snapshots_;
  fuse_session* const session_;
  Names known_;
  std::jthread thread_;  // last: it ends first
};

}  // namespace csnap
