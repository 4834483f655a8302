// SPDX-License-Identifier: Apache-2.0
// From the devices of a store, as a crash or an orderly end left them, to the state of the last
// commit that was whole. Nothing is written: what was replayed is dirty in the cache and goes home
// with the next checkpoint. Recovering twice gives the same.
//
// A commit was written together with the copies its records speak of, and one flush covered both.
// So the last commit in the journal may be whole while the data is not: its checksums tell, and
// then the commit counts as never made (nobody was told of it).
//
// The last commits may say nothing that is needed: images of a checkpoint that was not finished,
// servers that started. They count as free, so that however often a server dies before it has done
// anything, the next one finds the same room in the journal.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "journal/journal.h"
#include "server/store_state.h"
#include "store/device.h"

namespace csnap {

struct Recovered {
  Superblock on_disk;  // as read, before replay
  std::unique_ptr<StoreState> state;
  JournalPosition head;         // where the next commit goes: after the last that is needed
  std::vector<StoreRun> freed;  // by the replayed commits; still held
  std::uint64_t commits = 0;    // replayed
  std::uint64_t records = 0;
};

// What becomes of the newest checkpoint that is whole in the journal. It may be at home already or
// not, and homes may have been damaged since.
enum class Images {
  keep,        // nothing is written: its blocks are dirty in the cache
  write_home,  // first of all, which takes no room in the journal and may free much
};

// Blocks. corrupt when a record contradicts the state it meets, or the journal is damaged where it
// was durable once; io_error.
Result<Recovered> recover(Device& store, Device& metadata, std::size_t cache_bytes,
                          Images images = Images::keep);

// The same for whoever only reads a store that nobody has open. metadata: null when it is on the
// store device. has_data: false for an image of the metadata alone (a copy says so itself); the
// last commit then counts as made. Errors besides: those of check_devices(); unavailable for a
// store whose repair or restore was not finished.
Result<Recovered> recover_to_read(Device& store, Device* metadata, bool has_data,
                                  std::size_t cache_bytes);

// What no crash leaves: the journal ends at a commit that was durable once.
struct JournalDamage {
  JournalPosition at;
  Code code = Code::corrupt;
  std::string what;
  std::optional<LaterCommit> later;  // proof of it, if that is how it was found
};

// The steps of recover(), for the checker, which goes on where a server must not. In this order;
// each once; all block. The devices are the caller's.
class Recovery {
 public:
  // Reads the journal that this superblock speaks of. has_data: false for an image of the metadata
  // alone; the last commit then counts as made.
  static Result<Recovery> survey(Device& store, Device& metadata, const Superblock& on_disk,
                                 bool has_data = true);
  // Whoever goes on after damage loses the commits from there on.
  const std::optional<JournalDamage>& damage() const { return damage_; }
  // The newest checkpoint that is whole in the journal; none: that of the superblock.
  const std::optional<Superblock>& checkpoint() const { return checkpoint_; }
  // Epoch of the last whole commit; that of nobody if there is none.
  Epoch last_epoch() const { return last_epoch_; }
  // What the data of the last commit made of it, when that could not be read.
  const Status& data_unread() const { return data_unread_; }

  // Writes checkpoint() home and says so in both superblocks: from then on there is none. REQUIRES:
  // checkpoint(), no damage.
  Status write_checkpoint_home();
  // The state of the newest whole checkpoint. faults: where to say what is wrong with the tables;
  // without it they must be right.
  Status load(std::size_t cache_bytes, std::vector<TableFault>* faults = nullptr);
  StoreState& state() { return *out_.state; }
  // Applies the records of the commits after the checkpoint. refused: told of a record that cannot
  // be applied, and why; if it says ok, the record is left out.
  using Refused = std::function<Status(Sequence, const Record&, const Status&)>;
  Status replay(const Refused& refused = {});
  Recovered take() { return std::move(out_); }

 private:
  Recovery(Device& store, Device& metadata, const Superblock& on_disk);
  Status survey_commit(const ScannedCommit& commit);
  Status scan(JournalPosition from, const std::function<Status(const ScannedCommit&)>& visit);
  Status scan_behind(Sequence checkpoint, const std::function<Status(const ScannedCommit&)>& visit);
  Status find_damage(const Status& scanned);
  Status judge_last();
  Status replay_commit(const ScannedCommit& commit, const Refused& refused);
  void fetch_ahead(std::span<const Record> records);
  Status apply(Sequence sequence, std::span<const Record> records);
  bool in_play(Sequence sequence) const {
    return sequence > base_ && sequence < out_.head.sequence;
  }

  Device* store_;
  Device* metadata_;
  Recovered out_;
  Sequence base_;  // of the checkpoint that load() took
  std::optional<JournalDamage> damage_;
  Epoch last_epoch_;
  Status data_unread_;

  // What the survey found.
  std::vector<JournalPosition> commits_;  // the whole ones
  JournalPosition needed_;                // where the next goes that is written in its place
  JournalPosition needed_before_last_;
  std::vector<Record> last_records_;      // whose data may not have made it
  std::optional<Superblock> checkpoint_;  // the newest that is whole in the journal
  // Places that any commit gives to data: exceptions, and pools that clients may be writing to.
  std::vector<std::pair<Sequence, StoreRun>> data_places_;
};

}  // namespace csnap
