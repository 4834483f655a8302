// SPDX-License-Identifier: Apache-2.0
// The volumes that a program has open, one session each, however many use one: a flush by one of
// them covers what was written by the others.
// Threading: any thread; opens wait for each other. Ownership: a volume lives as long as its users
// hold it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "client/csnap.h"

namespace csnap {

class SharedVolumes {
 public:
  // Empty ones: as in OpenOptions.
  struct Settings {
    std::vector<std::string> servers;  // addresses
    std::string origin_path, store_path;
  };

  explicit SharedVolumes(Settings settings) : settings_(std::move(settings)) {}

  // What others have open, while it is of use, or a new one. id 0: the origin. One that may not be
  // written is opened to be read: see Volume::read_only(). Errors: those of Volume::open().
  Result<std::shared_ptr<Volume>> open(std::uint64_t id, bool read_only);

 private:
  // Null: none that is of use.
  std::shared_ptr<Volume> opened(std::uint64_t id, bool read_only);
  Result<std::shared_ptr<Volume>> opened_or_new(std::uint64_t id, bool read_only);

  const Settings settings_;
  std::mutex mutex_;
  // By id, not by name: a snapshot may be renamed, and another get its name.
  std::map<std::pair<std::uint64_t, bool>, std::weak_ptr<Volume>> volumes_;
};

}  // namespace csnap
