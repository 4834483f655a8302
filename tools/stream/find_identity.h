// SPDX-License-Identifier: Apache-2.0
// Which of a server's snapshots streams mean by an identity.
#pragma once

#include "client/csnap.h"
#include "store/stream_identity.h"

namespace csnap {

// What streams call so: what came here as that, or was made here and sent away as that; null: none.
// What was written to since is none. Points into the list.
const Admin::SnapshotEntry* find_identity(const Admin::SnapshotList& list,
                                          const StreamIdentity& identity);
// The same; not_found says why there is none.
Result<const Admin::SnapshotEntry*> require_identity(const Admin::SnapshotList& list,
                                                     const StreamIdentity& identity);

}  // namespace csnap
