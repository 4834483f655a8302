// SPDX-License-Identifier: Apache-2.0
// The exports of the plugin: the origin and every live snapshot, by name. Connections to one export
// share one Volume, which is what makes a flush on one of them cover what was written on the
// others.
//
// Threading: any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "client/csnap.h"

namespace csnap {

inline constexpr std::uint64_t kOriginId = 0;

struct ExportSettings {
  std::vector<std::string> servers;  // addresses; empty: the default ones
  std::string origin_path, store_path;
};

class Exports {
 public:
  struct Entry {
    std::string name;
    std::string description;
  };

  explicit Exports(ExportSettings settings) : settings_(std::move(settings)) {}

  Result<std::vector<Entry>> list();
  // not_found names the exports that there are.
  Result<std::shared_ptr<Volume>> open(const std::string& name, bool read_only);

 private:
  Result<Admin::SnapshotList> snapshots();
  Result<std::uint64_t> id_of(const std::string& name);

  const ExportSettings settings_;
  std::mutex admin_mutex_;
  std::unique_ptr<Admin> admin_;
  std::mutex volumes_mutex_;
  // By id, not by name: a snapshot may be renamed, and another get its name.
  std::map<std::pair<std::uint64_t, bool>, std::weak_ptr<Volume>> volumes_;
};

}  // namespace csnap
