// SPDX-License-Identifier: Apache-2.0
// Repairs a store: what can be had back is, what is lost is marked as lost and named, everything
// else stays as it is. Checks before and after.
//
// Everything is worked out in memory and comes to the disk in one checkpoint through the journal,
// so that a crash leaves the store as it was (but for a replayed journal), to be repaired again;
// the superblocks say `repairing` meanwhile. A repair that is larger than the journal is done on a
// copy of the metadata only.
// Threading: the devices' thread; blocks. Nobody else uses the store.
// Errors: invalid when it is a copy of metadata that is to be repaired in place; no_space when the
// store has no room for the marks of what is lost, or the journal is too small for the repair;
// io_error. The store can be repaired again then.
#pragma once

#include <string>
#include <vector>

#include "server/check.h"
#include "server/mend.h"
#include "store/device.h"
#include "store/status.h"

namespace csnap {

struct RepairOptions {
  CheckOptions check;
  std::string holder;  // for the superblock: "csnap-check, pid 7 on host.example"
  // The metadata is a copy: after a crash it is made anew, so it is simply written, with all that
  // the journal holds, and marked as a copy if it was on one device with the data.
  bool copy = false;
};

struct RepairReport {
  CheckReport before;
  bool changed = false;  // the store, or what a copy has of it, is another than it was
  // What was done, a sentence each, beside `done` and `lost`.
  std::vector<std::string> deeds;
  Mended done;
  std::vector<LostRange> lost;  // marked as lost, by name
  CheckReport after;            // as before, when nothing was changed
};

// metadata: null when it is on the store device.
Result<RepairReport> repair_store(Device& store, Device* metadata, const RepairOptions& options);

// When neither copy of the superblock can be trusted: the newest one in the journal, if a
// checkpoint is whole there. not_found.
Result<Superblock> find_superblock_in_journal(Device& store, Device& metadata);

}  // namespace csnap
