// SPDX-License-Identifier: Apache-2.0
#include "tools/nbdkit/exports.h"

#include <time.h>

#include <thread>

namespace csnap {

namespace {

// A server that is just being restarted is waited for.
constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::milliseconds kPause{50};

std::string describe(const Admin::SnapshotEntry& snapshot) {
  const auto seconds = static_cast<time_t>(snapshot.created_ns / 1'000'000'000);
  tm utc{};
  char when[32] = "";
  if (gmtime_r(&seconds, &utc) != nullptr) strftime(when, sizeof(when), "%F %T UTC", &utc);
  return "snapshot of " + std::string(when) + ", id " + std::to_string(snapshot.id);
}

}  // namespace

Result<Admin::SnapshotList> Exports::snapshots() {
  std::lock_guard lock(admin_mutex_);
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    Status status;
    if (!admin_) {
      AdminOptions options;
      options.addresses = servers_;
      options.observer = true;
      auto admin = Admin::connect(options);
      if (admin.ok())
        admin_ = std::move(admin).value();
      else
        status = admin.status();
    }
    if (admin_) {
      auto list = admin_->list();
      if (list.ok()) return list;
      status = list.status();
    }
    if (status.code() != Code::unavailable || std::chrono::steady_clock::now() >= give_up)
      return status;
    std::this_thread::sleep_for(kPause);
  }
}

Result<std::vector<Exports::Entry>> Exports::list() {
  CSNAP_ASSIGN(const auto list, snapshots());
  std::vector<Entry> entries{{"origin", "the origin volume"}};
  for (const auto& snapshot : list.snapshots)
    if (!snapshot.deleting) entries.push_back({snapshot.name, describe(snapshot)});
  return entries;
}

Result<std::uint64_t> Exports::id_of(const std::string& name) {
  if (name == "origin") return kOriginId;
  CSNAP_ASSIGN(const auto list, snapshots());
  std::string names = "origin";
  for (const auto& snapshot : list.snapshots) {
    if (snapshot.deleting) continue;
    if (snapshot.name == name) return snapshot.id;
    names += ", " + snapshot.name;
  }
  return Status(Code::not_found, "no export is called \"" + name + "\"; there are: " + names);
}

Result<std::shared_ptr<Volume>> Exports::open(const std::string& name, bool read_only) {
  CSNAP_ASSIGN(const std::uint64_t id, id_of(name));
  return volumes_.open(id, read_only);
}

}  // namespace csnap
