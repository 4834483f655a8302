// SPDX-License-Identifier: Apache-2.0
#include "tools/fuse/volumes.h"

#include <chrono>
#include <set>

namespace csnap {

OpenFile& Volumes::keep(std::uint64_t id, std::shared_ptr<Volume> volume) {
  auto file = std::make_unique<OpenFile>(OpenFile{id, std::move(volume)});
  OpenFile& kept = *file;
  std::lock_guard lock(mutex_);
  files_.emplace(&kept, std::move(file));
  return kept;
}

void Volumes::close(OpenFile& file) {
  // Who opens it anew to call fsync finds it durable, or waits, for the file is still listed.
  const Status status = file.volume->read_only() ? Status() : file.volume->flush();
  std::unique_lock lock(mutex_);
  if (!status.ok()) lost_[file.id] = status;
  const auto closed = files_.extract(&file);
  lock.unlock();  // the last file's session ends with it, which takes a moment
}

void Volumes::close_all() {
  std::vector<OpenFile*> all;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, file] : files_) all.push_back(file.get());
  }
  for (OpenFile* file : all) close(*file);
}

Status Volumes::flush(std::uint64_t id) {
  std::set<std::shared_ptr<Volume>> written;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, file] : files_)
      if (file->id == id && !file->volume->read_only()) written.insert(file->volume);
  }
  for (const auto& volume : written) CSNAP_TRY(volume->flush());
  std::lock_guard lock(mutex_);
  const auto lost = lost_.extract(id);
  return lost ? lost.mapped() : Status();
}

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
