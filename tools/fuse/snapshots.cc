// SPDX-License-Identifier: Apache-2.0
#include "tools/fuse/snapshots.h"

#include <algorithm>
#include <thread>

namespace csnap {

Status PatientAdmin::connect() {
  if (admin_) return {};
  AdminOptions options;
  options.addresses = servers_;
  CSNAP_ASSIGN(admin_, Admin::connect(options));
  return {};
}

void PatientAdmin::pause() {
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

Result<Admin::SnapshotList> Snapshots::list() {
  CSNAP_ASSIGN(auto list, admin_.ask([](Admin& admin) { return admin.list(); }));
  if (store_ != Uuid() && list.store != store_)
    return Status(Code::stale, "the server has another store now, " + list.store.to_string());
  std::erase_if(list.snapshots, [](const Admin::SnapshotEntry& entry) { return entry.deleting; });
  return list;
}

Result<std::optional<Admin::SnapshotEntry>> Snapshots::find(const std::string& name) {
  CSNAP_ASSIGN(const auto all, list());
  for (const auto& entry : all.snapshots)
    if (entry.name == name) return std::optional(entry);
  return std::optional<Admin::SnapshotEntry>();
}

Result<Admin::SnapshotEntry> Snapshots::find(std::uint64_t id) {
  CSNAP_ASSIGN(const auto all, list());
  for (const auto& entry : all.snapshots)
    if (entry.id == id) return entry;
  return Status(Code::stale, "snapshot " + std::to_string(id) + " was deleted");
}

Result<Admin::StoreStatus> Snapshots::status() {
  return admin_.ask([](Admin& admin) { return admin.status(); });
}

}  // namespace csnap
