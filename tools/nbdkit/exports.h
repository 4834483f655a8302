// SPDX-License-Identifier: Apache-2.0
// The exports of the plugin: the origin and every live snapshot, by name. Connections to one export
// share one Volume.
//
// Threading: any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/csnap.h"
#include "client/shared_volumes.h"

namespace csnap {

inline constexpr std::uint64_t kOriginId = 0;

class Exports {
 public:
  struct Entry {
    std::string name;
    std::string description;
  };

  explicit Exports(const SharedVolumes::Settings& settings)
      : servers_(settings.servers), volumes_(settings) {}

  Result<std::vector<Entry>> list();
  // not_found names the exports that there are.
  Result<std::shared_ptr<Volume>> open(const std::string& name, bool read_only);

 private:
  Result<Admin::SnapshotList> snapshots();
  Result<std::uint64_t> id_of(const std::string& name);

  const std::vector<std::string> servers_;
  std::mutex admin_mutex_;
  std::unique_ptr<Admin> admin_;
  SharedVolumes volumes_;
};

}  // namespace csnap
