// SPDX-License-Identifier: Apache-2.0
#include "client/volume_state.h"

namespace csnap {

Status VolumeState::wait_lease() {
  if (lease_valid()) return {};
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !gone_.ok() || !given_up_.ok() || lease_valid(); });
  if (!gone_.ok()) return gone_;
  return lease_valid() ? Status() : given_up_;
}

Status VolumeState::gone() const {
  std::lock_guard lock(mutex_);
  return gone_;
}

void VolumeState::publish(const Standing& standing) {
  {
    std::lock_guard lock(mutex_);
    read_generation_ = standing.read_generation;
    write_generation_ = standing.write_generation;
    lease_until_ms_ = standing.lease_until_ms;  // last: see may_deliver()
    given_up_ = Status();
  }
  changed_.notify_all();
}

void VolumeState::end(const Status& why) {
  {
    std::lock_guard lock(mutex_);
    if (gone_.ok()) gone_ = why;
    lease_until_ms_ = 0;
  }
  changed_.notify_all();
  writes.shut();
  reads.shut();
}

void VolumeState::give_up(const Status& why) {
  {
    std::lock_guard lock(mutex_);
    given_up_ = why;
  }
  changed_.notify_all();
}

}  // namespace csnap
