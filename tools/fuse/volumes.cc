// SPDX-License-Identifier: Apache-2.0
#include "tools/fuse/volumes.h"

#include <chrono>

namespace csnap {

std::uint64_t Volumes::written_at(std::uint64_t id) const {
  std::lock_guard lock(mutex_);
  const auto found = times_.find(id);
  return found == times_.end() ? 0 : found->second;
}

void Volumes::written(std::uint64_t id) {
  using std::chrono::nanoseconds;
  const auto now =
      std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch());
  std::lock_guard lock(mutex_);
  times_[id] = static_cast<std::uint64_t>(now.count());
}

}  // namespace csnap
