// SPDX-License-Identifier: Apache-2.0
// What can still be read of a journal behind a damaged commit.
// Threading: the device's thread; blocks.
#pragma once

#include <optional>
#include <vector>

#include "journal/journal.h"
#include "journal/records.h"
#include "server/recovery.h"

namespace csnap {

struct LaterCommits {
  // A checkpoint that is whole behind the damage: with it nothing of before is needed. As it is to
  // be the superblock of a store that begins there.
  std::optional<Superblock> checkpoint;
  std::vector<ExceptionAdded> exceptions;
  std::vector<Record> others;  // those that change what users see: snapshots, masks
  std::uint64_t commits = 0;
  std::uint64_t blocks = 0;  // of the ring, that they take
  JournalPosition end;       // behind the last of them: nothing there is needed as proof
};

// Only until a whole checkpoint is found. io_error does not happen: what cannot be read is as good
// as not there.
LaterCommits read_later_commits(Device& metadata, const Superblock& on_disk,
                                const JournalDamage& damage, Epoch last_epoch);

}  // namespace csnap
