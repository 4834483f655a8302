// SPDX-License-Identifier: Apache-2.0
#include "tools/fuse/watcher.h"

#include "client/signals_blocked.h"
#include "tools/fuse/stop_within.h"

namespace csnap {
namespace {

constexpr std::chrono::milliseconds kLookEvery{200};

}  // namespace

// It looks again anyway, so it has no patience with a server that is away.
Watcher::Watcher(const std::vector<std::string>& servers, const Uuid& store, fuse_session* session)
    : snapshots_(servers, store, {}), session_(session) {
  const SignalsBlocked blocked;
  thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

void Watcher::watch(const std::stop_token& stop) {
  do {
    // A server that is away has changed nothing yet.
    const auto list = snapshots_.list();
    if (!list.ok()) continue;
    Names now;
    for (const auto& entry : list->snapshots) now[entry.id] = entry.name;
    tell(now);
    known_ = std::move(now);
  } while (!stop_within(stop, kLookEvery));
}

// The kernel says ENOENT of what it does not remember anyway.
void Watcher::tell(const Names& now) {
  bool any = false;
  for (const auto& [id, name] : known_) {
    const auto found = now.find(id);
    if (found != now.end() && found->second == name) continue;
    any = true;
    if (found == now.end()) {
      const std::string number = std::to_string(id);
      fuse_lowlevel_notify_delete(session_, kSnapshotsNode, node_of(id), name.c_str(), name.size());
      fuse_lowlevel_notify_delete(session_, kByIdNode, node_of(id), number.c_str(), number.size());
      fuse_lowlevel_notify_inval_inode(session_, node_of(id), 0, 0);
    } else {
      fuse_lowlevel_notify_inval_entry(session_, kSnapshotsNode, name.c_str(), name.size());
    }
  }
  for (const auto& [id, name] : now) {
    if (known_.contains(id)) continue;
    any = true;
    fuse_lowlevel_notify_inval_entry(session_, kSnapshotsNode, name.c_str(), name.size());
  }
  if (!any) return;
  for (const NodeId folder : {kSnapshotsNode, kByIdNode})
    fuse_lowlevel_notify_inval_inode(session_, folder, -1, 0);
}

}  // namespace csnap
