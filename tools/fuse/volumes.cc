// SPDX-License-Identifier: Apache-2.0
#include "tools/fuse/volumes.h"

#include <chrono>

namespace csnap {

Result<std::shared_ptr<Volume>> Volumes::open(std::uint64_t id) {
  std::lock_guard lock(mutex_);
  std::erase_if(volumes_,
                [&](const auto& each) { return each.first != id && each.second.expired(); });
  std::weak_ptr<Volume>& slot = volumes_[id];
  if (auto volume = slot.lock(); volume && volume->health().ok()) return volume;
  OpenOptions options;
  options.addresses = settings_.servers;
  options.volume = id == 0 ? "origin" : "#" + std::to_string(id);
  options.volume_id = id;
  options.read_only = settings_.read_only;
  options.origin_path = settings_.origin_path;
  options.store_path = settings_.store_path;
  CSNAP_ASSIGN(std::shared_ptr<Volume> volume, Volume::open(options));
  slot = volume;
  return volume;
}

std::uint64_t Volumes::written_at(std::uint64_t id) const {
  std::lock_guard lock(times_mutex_);
  const auto found = times_.find(id);
  return found == times_.end() ? 0 : found->second;
}

void Volumes::written(std::uint64_t id) {
  using std::chrono::nanoseconds;
  const auto now =
      std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch());
  std::lock_guard lock(times_mutex_);
  times_[id] = static_cast<std::uint64_t>(now.count());
}

}  // namespace csnap
