// SPDX-License-Identifier: Apache-2.0
// Group commit. Changes come as units: records that must become durable together. A unit is
// applied to the state in memory when its turn comes, joins the open group, and its done() runs
// once the group's commit is durable. What arrives while a commit is in flight forms the next
// group.
//
// Gathering: of many who each wait for their answer before they ask again, those just answered
// would always come too late for the commit that begins then: two halves taking turns, each for a
// whole flush. So the next commit waits until as many units are there as there were before, at most
// a quarter of the time that the last commit took. A few units never wait.
//
// Order: units are applied, and their records written, in the order in which they were added.
// Admission: a unit waits while the journal could not take it together with a whole checkpoint, or
// too much metadata is dirty; a checkpoint then is under way and lets it in.
// Threading: the engine's thread. done() may run from add(), pump() or a device completion.
// Errors: when a commit cannot be written, the memory is ahead of the disk: the committer fails for
// good, every unit ends with that error, and the store must be opened anew.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "journal/journal.h"
#include "journal/records.h"
#include "server/checkpointer.h"
#include "server/store_state.h"

namespace csnap {

class Committer {
 public:
  using Done = std::function<void(Status)>;
  struct Unit {
    // Called when the unit is about to be applied: the records as they must be now. No records: the
    // unit is dropped and done() told at once. Not ok: dropped too, but done() told only when what
    // was applied before is durable; a refusal may speak of that ("exists already").
    std::function<Status(std::vector<Record>&)> build;
    Done done;
    bool urgent = false;  // others are held up until it is durable: its commit gathers nobody
  };
  // What a group's commit freed, told once it is durable.
  using Freed = std::function<void(std::vector<StoreRun>)>;

  // flush_also: the data device, when it is another one than the journal's. clock_us: monotonic
  // microseconds; null: nothing is gathered.
  using Clock = std::function<std::uint64_t()>;
  Committer(StoreState& state, Device& metadata, Journal& journal, std::vector<Device*> flush_also,
            Freed freed, Clock clock_us);

  void add(Unit unit);
  // An answer that speaks of what may not be durable yet: done(why) when it is, or the failure.
  void refuse(Status why, Done done);
  // The same for an answer that is no refusal: done(ok) when it is, or the failure.
  void when_durable(Done done);
  // Applies what may be applied, and starts the next commit if none is in flight. Once a turn.
  void pump();
  // Is there so much room that what can wait does not take it from what cannot? Half of what may be
  // dirty is for units that somebody waits for, while a checkpoint makes room.
  bool has_room_to_spare() const { return state_.cache().dirty() < dirty_cap() / 2; }
  // Asks for a checkpoint at the next edge, needed or not.
  void request_checkpoint() { checkpoint_wanted_ = true; }

  // While units are gathered: the time by which pump() is to be called again.
  std::optional<std::uint64_t> gathers_until_us() const { return gathers_until_us_; }
  void gather_no_more() { clock_us_ = nullptr; }

  bool idle() const;  // no unit, no commit, no checkpoint
  const Status& failure() const { return failure_; }
  std::uint64_t commits() const { return commits_; }
  std::uint64_t queued() const { return queue_.size(); }
  Checkpointer& checkpointer() { return checkpointer_; }
  const Checkpointer& checkpointer() const { return checkpointer_; }

 private:
  struct Queued {
    Unit unit;
    std::vector<Record> records;
    std::size_t applied = 0;
    bool built = false;
    std::vector<StoreRun> freed;
  };

  void apply_queue();
  bool apply_front();  // false: it has to wait
  bool drop_front(const Status& status);
  bool refuse_front(const Status& status);
  bool wait_for_block(const Status& miss);
  bool admitted(std::size_t more_bytes) const;
  bool checkpoint_due() const;
  std::uint64_t dirty_cap() const;
  void try_begin_checkpoint();
  bool gather();
  void close_group();
  void append();
  void committed(Status status);
  void fail(Status status);

  StoreState& state_;
  Journal& journal_;
  std::vector<Device*> flush_also_;
  Freed freed_;
  Checkpointer checkpointer_;

  std::deque<Queued> queue_;  // not applied yet, or the first one in part
  bool waiting_for_block_ = false;

  // The open group: applied, not written.
  std::vector<std::byte> records_;
  std::vector<Done> waiting_;
  std::vector<StoreRun> group_freed_;
  bool group_is_urgent_ = false;
  bool group_brings_data_ = false;  // exceptions, whose data is flushed with the commit
  // The commit in flight.
  CommitContent content_;
  std::vector<std::byte> flying_records_;
  std::vector<Done> flying_waiting_;
  std::vector<StoreRun> flying_freed_;
  std::uint64_t flying_blocks_ = 0;
  bool flying_images_ = false;
  bool checkpoint_follows_ = false;  // the commit in flight is the edge of a checkpoint
  int attempts_ = 0;

  Clock clock_us_;
  std::uint64_t began_us_ = 0, ended_us_ = 0;  // the last commit
  std::size_t answered_ = 0;                   // units of the last commit
  std::size_t expected_ = 0;                   // these, and those that waited when it ended
  std::optional<std::uint64_t> gathers_until_us_;

  bool checkpoint_wanted_ = false;
  std::uint64_t records_since_checkpoint_ = 0;
  std::uint64_t blocks_since_checkpoint_ = 0;
  std::uint64_t commits_ = 0;
  Status failure_;
};

}  // namespace csnap
