// SPDX-License-Identifier: Apache-2.0
// How far a stream is, how fast it goes, how much longer it takes.
// Threading: one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "tools/common/progress.h"
#include "tools/common/size.h"

namespace csnap {

class StreamProgress {
 public:
  StreamProgress(std::string what, bool shown, std::uint64_t all)
      : progress_(std::move(what), shown), all_(std::max<std::uint64_t>(all, 1)) {}

  void update(std::uint64_t done) {
    const std::chrono::duration<double> so_far = std::chrono::steady_clock::now() - began_;
    const double rate = static_cast<double>(done) / std::max(so_far.count(), 1e-3);
    progress_.update(static_cast<double>(done) / static_cast<double>(all_),
                     format_size(static_cast<std::uint64_t>(rate)) + "/s");
  }

 private:
  Progress progress_;
  const std::uint64_t all_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace csnap
