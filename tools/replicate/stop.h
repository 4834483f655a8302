// SPDX-License-Identifier: Apache-2.0
// Being told to end by SIGTERM or SIGINT.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace csnap {

// Made before any thread, once a process. From the signal on, the process has a few seconds to come
// to its end; then it is ended, with the exit code that too_late() returns, or with 0: then nothing
// needs to be put in order that a cut connection would not. too_late() runs on a thread of its own.
// Threading: any.
class StopSignal {
 public:
  explicit StopSignal(std::function<int()> too_late = nullptr);
  bool came() const;
  // Until then; whether it came.
  bool wait_for(std::chrono::milliseconds time) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace csnap
