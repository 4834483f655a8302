// SPDX-License-Identifier: Apache-2.0
// What volumes there are, as the server says it now.
// Threading: any thread. Errors: unavailable when the server does not come back within some
// seconds; stale for a snapshot that was deleted.
#pragma once

#include <chrono>
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
  static constexpr std::chrono::seconds kPatience{10};

  explicit PatientAdmin(std::vector<std::string> servers,
                        std::chrono::milliseconds patience = kPatience)
      : servers_(std::move(servers)), patience_(patience) {}

  template <class F>
  auto ask(F&& question) -> decltype(question(std::declval<Admin&>())) {
    std::lock_guard lock(mutex_);
    for (;;) {
      Status status = connect();
      if (status.ok()) {
        auto answer = question(*admin_);
        if (answer.ok() || answer.status().code() != Code::unavailable) {
          away_since_.reset();
          return answer;
        }
        status = answer.status();
      }
      if (status.code() != Code::unavailable) return status;
      // Whom it has kept waiting for so long already does not wait again: the kernel asks several
      // times for one call.
      const auto now = std::chrono::steady_clock::now();
      if (now - away_since_.value_or(now) >= patience_) return status;
      if (!away_since_) away_since_ = now;
      pause();
    }
  }

 private:
  Status connect();
  static void pause();

  const std::vector<std::string> servers_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::unique_ptr<Admin> admin_;
  std::optional<std::chrono::steady_clock::time_point> away_since_;  // when it was asked in vain
};

class Snapshots {
 public:
  // Of this store alone; nil: of whatever store the server has.
  explicit Snapshots(std::vector<std::string> servers, const Uuid& store = {},
                     std::chrono::milliseconds patience = PatientAdmin::kPatience)
      : admin_(std::move(servers), patience), store_(store) {}

  // Live ones only. stale: the server has another store now, whose ids name other volumes.
  Result<Admin::SnapshotList> list();
  // nullopt: there is none.
  Result<std::optional<Admin::SnapshotEntry>> find(const std::string& name);
  // stale
  Result<Admin::SnapshotEntry> find(std::uint64_t id);
  Result<Admin::StoreStatus> status();

 private:
  PatientAdmin admin_;
  const Uuid store_;
};

}  // namespace csnap
