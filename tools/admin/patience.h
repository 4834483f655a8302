// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <thread>

#include "store/status.h"

namespace csnap {

// What was closed just now is let go a moment later: "busy" is believed only when it stays so for
// two seconds (as lvremove does). attempt: a Status each time.
template <class Attempt>
Status unless_busy_for_long(const Attempt& attempt) {
  constexpr int kTries = 20;
  Status status = attempt();
  for (int i = 1; i < kTries && status.code() == Code::busy; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    status = attempt();
  }
  return status;
}

}  // namespace csnap
