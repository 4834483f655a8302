// SPDX-License-Identifier: Apache-2.0
#include "tools/fuse/ending.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "client/signals_blocked.h"
#include "tools/fuse/file_system.h"
#include "tools/fuse/stop_within.h"

namespace csnap {
namespace {

constexpr std::chrono::milliseconds kLookForExitEvery{200};
constexpr std::chrono::seconds kGiveUpAfter{5};

}  // namespace

Ending::Ending(fuse_session* session) : session_(session) {
  const SignalsBlocked blocked;
  thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

void Ending::watch(const std::stop_token& stop) {
  // A signal's handler can tell nobody.
  while (fuse_session_exited(session_) == 0)
    if (stop_within(stop, kLookForExitEvery)) return;
  if (stop_within(stop, kGiveUpAfter)) return;
  std::fprintf(stderr, "csnap-fuse: requests that wait for the server are given up\n");
  fuse_session_unmount(session_);
  // Threads wait within requests; nothing that they use may be destroyed.
  ::_exit(1);
}

}  // namespace csnap
