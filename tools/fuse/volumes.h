// SPDX-License-Identifier: Apache-2.0
// The volumes that are open, one session each, however many have the file open: a flush through one
// of them covers what was written through the others.
// Threading: any thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/csnap.h"

namespace csnap {

struct VolumeSettings {
  std::vector<std::string> servers;  // addresses; empty: the default ones
  std::string origin_path, store_path;
  bool read_only = false;
};

class Volumes {
 public:
  explicit Volumes(VolumeSettings settings) : settings_(std::move(settings)) {}

  Result<std::shared_ptr<Volume>> open(std::uint64_t id);
  bool read_only() const { return settings_.read_only; }

  // When it was written to through here, in nanoseconds since 1970; 0: never.
  std::uint64_t written_at(std::uint64_t id) const;
  void written(std::uint64_t id);

 private:
  const VolumeSettings settings_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::weak_ptr<Volume>> volumes_;
  mutable std::mutex times_mutex_;
  std::map<std::uint64_t, std::uint64_t> times_;
};

}  // namespace csnap
