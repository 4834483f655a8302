// SPDX-License-Identifier: Apache-2.0
#include "tools/replicate/lag.h"

namespace csnap {

Lag lag_of(const Replica& replica, const Admin::SnapshotList& ours, std::uint64_t now_ns) {
  Lag lag;
  std::uint64_t as_of = replica.at_ns;  // at the latest
  for (const auto& entry : ours.snapshots) {
    if (entry.id == replica.snapshot.value) {
      as_of = entry.created_ns;
      if (!entry.deleting) lag.newest = entry.name;
    }
    lag.missing += !entry.deleting && entry.id > replica.snapshot.value;
  }
  if (lag.missing > 0 && now_ns > as_of) lag.behind_ns = now_ns - as_of;
  return lag;
}

}  // namespace csnap
