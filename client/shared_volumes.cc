// SPDX-License-Identifier: Apache-2.0
#include "client/shared_volumes.h"

namespace csnap {

std::shared_ptr<Volume> SharedVolumes::opened(std::uint64_t id, bool read_only) {
  const auto found = volumes_.find({id, read_only});
  if (found == volumes_.end()) return nullptr;
  auto volume = found->second.lock();
  return volume && volume->health().ok() ? volume : nullptr;
}

Result<std::shared_ptr<Volume>> SharedVolumes::opened_or_new(std::uint64_t id, bool read_only) {
  if (auto volume = opened(id, read_only)) return volume;
  OpenOptions options;
  options.addresses = settings_.servers;
  options.volume_id = id;
  options.read_only = read_only;
  options.origin_path = settings_.origin_path;
  options.store_path = settings_.store_path;
  CSNAP_ASSIGN(std::shared_ptr<Volume> volume, Volume::open(options));
  volumes_[{id, read_only}] = volume;
  return volume;
}

Result<std::shared_ptr<Volume>> SharedVolumes::open(std::uint64_t id, bool read_only) {
  std::lock_guard lock(mutex_);
  std::erase_if(volumes_, [](const auto& each) { return each.second.expired(); });
  auto volume = opened_or_new(id, read_only);
  // What cannot be written, as the origin of a replica or while a stream is received, can be read.
  // It is kept as one to read: who comes to write later tries again.
  const Code code = volume.status().code();
  if ((code == Code::denied || code == Code::busy) && !read_only)
    if (auto readable = opened_or_new(id, true); readable.ok()) return readable;
  return volume;
}

}  // namespace csnap
