// SPDX-License-Identifier: Apache-2.0
// Open files by number, at most so many: the one that was not used for longest is let go for a new
// one, and closed when nobody uses it any more.
// Threading: any.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace csnap {

class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  ~OpenFile() { ::close(fd_); }  // what had to be durable was synced
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};
using OpenFilePtr = std::shared_ptr<const OpenFile>;

class OpenFiles {
 public:
  // most: 0 keeps none.
  explicit OpenFiles(std::size_t most) : most_(most) {}

  // Null when it is not there.
  OpenFilePtr get(std::uint64_t key) {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    files_.splice(files_.begin(), files_, found->second);
    return found->second->second;
  }
  void put(std::uint64_t key, OpenFilePtr file) {
    if (most_ == 0) return;
    OpenFilePtr dropped;  // closed after the lock is given back
    const std::lock_guard lock(mutex_);
    if (const auto found = places_.find(key); found != places_.end()) {
      dropped = std::exchange(found->second->second, std::move(file));
      return;
    }
    files_.emplace_front(key, std::move(file));
    places_[key] = files_.begin();
    if (files_.size() <= most_) return;
    dropped = std::move(files_.back().second);
    places_.erase(files_.back().first);
    files_.pop_back();
  }
  void forget(std::uint64_t key) {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(key);
    if (found == places_.end()) return;
    files_.erase(found->second);
    places_.erase(found);
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    places_.clear();
    files_.clear();
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return files_.size();
  }

 private:
  using Entry = std::pair<std::uint64_t, OpenFilePtr>;
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::list<Entry> files_;  // that used last first
  std::unordered_map<std::uint64_t, std::list<Entry>::iterator> places_;
};

}  // namespace csnap
