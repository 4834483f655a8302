// SPDX-License-Identifier: Apache-2.0
// Which snapshots are to be sent, each as a change to which, so that another server has ours up to
// one of them. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/csnap.h"
#include "store/status.h"
#include "tools/stream/identity.h"

namespace csnap {

struct ChainStep {
  Admin::SnapshotEntry snapshot;
  std::optional<Admin::SnapshotEntry> parent;  // none: all of it
  std::optional<ResumeToken> resume;           // a part of it is there
};

struct Chain {
  std::optional<Admin::SnapshotEntry> common;  // the newest of ours that is there
  std::vector<ChainStep> steps;                // none: there is nothing to do
  std::string file;                            // what the volume is called in all of them
};

// By id, that is in the order in which they were made; null: none.
const Admin::SnapshotEntry* newest_live(const Admin::SnapshotList& list);

// Every live snapshot of ours from the newest common one up to `name`.
// Errors: not_found: there is no snapshot `name`; exists: something there would be lost or is in
// the way, which force allows as far as it can; invalid: this is no replica of that.
Result<Chain> plan_chain(const Admin::SnapshotList& ours, const Admin::SnapshotList& theirs,
                         const Replication& there, const std::string& name, bool force);

}  // namespace csnap
