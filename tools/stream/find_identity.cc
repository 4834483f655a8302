// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/find_identity.h"

namespace csnap {

const Admin::SnapshotEntry* find_identity(const Admin::SnapshotList& list,
                                          const StreamIdentity& identity) {
  for (const auto& entry : list.snapshots)
    if (!entry.deleting && !entry.written &&
        (entry.received == identity || StreamIdentity{entry.uuid, entry.transid} == identity))
      return &entry;
  return nullptr;
}

Result<const Admin::SnapshotEntry*> require_identity(const Admin::SnapshotList& list,
                                                     const StreamIdentity& identity) {
  if (const auto* found = find_identity(list, identity)) return found;
  for (const auto& entry : list.snapshots)
    if (!entry.deleting && StreamIdentity{entry.uuid, entry.transid} == identity)
      return Status(Code::not_found, "'" + entry.name + "' here was " + identity.to_string() +
                                         ", but was written to since");
  return Status(Code::not_found, "no snapshot here is " + identity.to_string());
}

}  // namespace csnap
