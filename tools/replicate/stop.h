// SPDX-License-Identifier: Apache-2.0
// Being told to end by SIGTERM or SIGINT.
#pragma once

#include <chrono>
#include <memory>

namespace csnap {

// Made before any thread, once a process. From the signal on, the process has a few seconds to come
// to its end; then it is ended, with exit code 0: nothing here needs to be put in order that a cut
// connection would not.
// Threading: any.
class StopSignal {
 public:
  StopSignal();
  bool came() const;
  // Until then; whether it came.
  bool wait_for(std::chrono::milliseconds time) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace csnap
