// SPDX-License-Identifier: Apache-2.0
#include "tools/fuse/ending.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "client/signals_blocked.h"
#include "tools/fuse/file_system.h"

namespace csnap {
namespace {

constexpr std::chrono::milliseconds kLookForExitEvery{200};
constexpr std::chrono::seconds kGiveUpAfter{5};

}  // namespace

Ending::Ending(fuse_session* session) : session_(session) {
  const SignalsBlocked blocked;
  thread_ = std::thread([this] { watch(); });
}

Ending::~Ending() {
  {
    std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Ending::watch() {
  std::unique_lock lock(mutex_);
  // A signal's handler can tell nobody.
  while (fuse_session_exited(session_) == 0)
    if (changed_.wait_for(lock, kLookForExitEvery, [&] { return over_; })) return;
  if (changed_.wait_for(lock, kGiveUpAfter, [&] { return over_; })) return;
  std::fprintf(stderr, "csnap-fuse: requests that wait for the server are given up\n");
  fuse_session_unmount(session_);
  // Threads wait within requests; nothing that they use may be destroyed.
  ::_exit(1);
}

}  // namespace csnap
