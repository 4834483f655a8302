// SPDX-License-Identifier: Apache-2.0
// What volumes there are, as the server says it now.
// Threading: any thread. Errors: unavailable when the server does not come back within some
// seconds; stale for a snapshot that was deleted.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/csnap.h"

namespace csnap {

inline constexpr std::uint64_t kOriginVolume = 0;

// A connection for administration that outlives the server.
class PatientAdmin {
 public:
  explicit PatientAdmin(std::vector<std::string> servers) : servers_(std::move(servers)) {}

  template <class F>
  auto ask(F&& question) -> decltype(question(std::declval<Admin&>())) {
    std::lock_guard lock(mutex_);
    const auto give_up = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      Status status = connect();
      if (status.ok()) {
        auto answer = question(*admin_);
        if (answer.ok() || answer.status().code() != Code::unavailable) return answer;
        status = answer.status();
      }
      if (status.code() != Code::unavailable || std::chrono::steady_clock::now() >= give_up)
        return status;
      pause();
    }
  }

 private:
  static constexpr std::chrono::seconds kPatience{10};
  Status connect();
  static void pause();

  const std::vector<std::string> servers_;
  std::mutex mutex_;
  std::unique_ptr<Admin> admin_;
};

class Snapshots {
 public:
  explicit Snapshots(std::vector<std::string> servers) : admin_(std::move(servers)) {}

  // Live ones only.
  Result<Admin::SnapshotList> list();
  // nullopt: there is none.
  Result<std::optional<Admin::SnapshotEntry>> find(const std::string& name);
  // stale
  Result<Admin::SnapshotEntry> find(std::uint64_t id);
  Result<Admin::StoreStatus> status();

 private:
  PatientAdmin admin_;
};

}  // namespace csnap
