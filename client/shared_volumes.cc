// SPDX-License-Identifier: Apache-2.0
#include "client/shared_volumes.h"

namespace csnap {

Result<std::shared_ptr<Volume>> SharedVolumes::open(std::uint64_t id, bool read_only) {
  std::lock_guard lock(mutex_);
  std::erase_if(volumes_, [](const auto& each) { return each.second.expired(); });
  const std::pair key(id, read_only);
  if (const auto found = volumes_.find(key); found != volumes_.end())
    if (auto volume = found->second.lock(); volume && volume->health().ok()) return volume;
  OpenOptions options;
  options.addresses = settings_.servers;
  options.volume_id = id;
  options.read_only = read_only;
  options.origin_path = settings_.origin_path;
  options.store_path = settings_.store_path;
  auto opened = Volume::open(options);
  // What cannot be written, as the origin of a replica, can be read.
  if (opened.status().code() == Code::denied && !read_only) {
    options.read_only = true;
    if (auto readable = Volume::open(options); readable.ok()) opened = std::move(readable);
  }
  CSNAP_ASSIGN(std::shared_ptr<Volume> volume, std::move(opened));
  volumes_[key] = volume;
  return volume;
}

}  // namespace csnap
