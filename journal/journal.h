// SPDX-License-Identifier: Apache-2.0
// The circular commit journal: a ring of blocks at a fixed place on the metadata device. A commit
// is a commit block (header, records) and as many further blocks as its records and images need,
// written in one go and made durable by one flush. One commit is in flight at a time.
//
// A checkpoint is carried by one or more commits: images of metadata blocks with their home
// addresses; the last of them is marked complete. See docs/format/journal.md for the grammar and
// every state a crash can leave.
// Threading: the device's thread.
// Ownership: the devices are the caller's and outlive the journal. The journal lives until the
// done() of the commit in flight, or until the device will never call back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "journal/records.h"
#include "store/block_cache.h"
#include "store/device.h"
#include "store/superblock.h"
#include "store/types.h"

namespace csnap {

struct JournalLayout {
  BlockAddress base;
  std::uint64_t blocks = 0;
};

struct Image {
  BlockAddress home;
  ConstBlock content;  // sealed
};

struct CommitContent {
  std::span<const std::byte> records;  // encoded, back to back
  std::vector<Image> images;
  // The checkpoint these images belong to: the state after this commit. 0: no images.
  Sequence checkpoint;
  bool checkpoint_complete = false;  // the last images of that checkpoint
};

class Journal {
 public:
  // head: where the next commit goes, and its sequence. tail: the oldest commit still needed.
  Journal(Device& device, JournalLayout layout, const Uuid& store, Epoch epoch,
          JournalPosition tail, JournalPosition head);
  ~Journal();

  // Blocks that a commit with so many bytes of records and so many images takes.
  static std::uint64_t blocks_needed(std::size_t record_bytes, std::size_t images);
  std::uint64_t capacity() const;     // blocks
  std::uint64_t free_blocks() const;  // that one commit may use now
  std::uint64_t live_blocks() const;  // from tail to head
  Sequence next_sequence() const;     // the one that the next append() gets
  JournalPosition head() const;
  JournalPosition tail() const;
  bool busy() const;  // a commit is in flight
  // The last append() failed in a flush: what a second flush would promise is anybody's guess, so
  // it must not be tried again.
  bool flush_failed() const;

  // Writes the commit, then flushes the journal's device and flush_also (both at once), then calls
  // done. What content refers to is copied before append() returns. On failure nothing has moved:
  // the same or another commit may be appended at the same place (and what was written of the
  // first may be found by a scan until then).
  // REQUIRES: !busy(), blocks_needed() <= free_blocks(); writes that flush_also is to cover have
  // completed; content.checkpoint <= next_sequence().
  void append(const CommitContent& content, const std::vector<Device*>& flush_also,
              std::function<void(Status)> done);
  // Everything before this position is no longer needed. REQUIRES: it is durable that recovery will
  // not start before it.
  void set_tail(JournalPosition tail);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// What it refers to is valid until visit returns.
struct ScannedCommit {
  JournalPosition position;
  std::uint64_t blocks = 0;  // that it takes in the ring
  Epoch epoch;
  std::span<const std::byte> records;  // checked as a whole by the commit's checksum
  std::vector<Image> images;           // each checked as a block
  Sequence checkpoint;
  bool checkpoint_complete = false;
};

// Visits the whole commits from tail on, in order, until the first that is not there, not whole
// or not next in sequence; returns the head. A torn or missing last commit is the normal end of a
// journal, not an error; an I/O error is, and so is what visit returns. corrupt for a commit that
// passes its checksums and makes no sense. Reads in large pieces.
Result<JournalPosition> scan_journal(Device& device, JournalLayout layout, const Uuid& store,
                                     JournalPosition tail,
                                     const std::function<Status(const ScannedCommit&)>& visit);

// A commit that lies behind the place where a scan ended.
struct LaterCommit {
  JournalPosition position;
  Epoch epoch;
};
// One commit is in flight at a time, so a crash leaves nothing behind the commit that it tore. If
// there is a commit with a higher sequence all the same, written in this epoch or later, then the
// one at `head` was once whole and durable, and was damaged since. Returns the nearest such commit
// behind `head` in the ring (its first block is whole; the rest was not looked at). at_least: the
// epoch of the last commit that the scan found; what servers of before left behind is not looked
// for. Blocks that cannot be read are passed over. Reads the ring from head to tail.
Result<std::optional<LaterCommit>> find_later_commit(Device& device, JournalLayout layout,
                                                     const Uuid& store, JournalPosition tail,
                                                     JournalPosition head, Epoch at_least);

}  // namespace csnap
