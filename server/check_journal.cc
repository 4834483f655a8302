// SPDX-License-Identifier: Apache-2.0
// From the superblock to the state after the last commit, in memory, whatever stands in the way.
#include <algorithm>
#include <utility>

#include "server/check_impl.h"

namespace csnap {
namespace {

// A copied chunk takes four bytes of a commit at least, for its checksum.
constexpr std::uint64_t kChunksPerBlock = kBlockSize / 4;

std::string number(std::uint64_t n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

}  // namespace

Result<bool> StoreCheck::open_state() {
  progress("journal", 0, 1);
  CSNAP_ASSIGN(Recovery recovery, Recovery::survey(store_, metadata_, on_disk_, has_data()));
  while (const auto& damage = recovery.damage()) {
    later_ = read_later_commits(metadata_, on_disk_, *damage, recovery.last_epoch());
    report_journal(*damage, later_);
    journal_damaged_ = !later_.checkpoint;
    if (journal_damaged_) {
      report_unknown_commits(*damage);
      break;
    }
    on_disk_ = *later_.checkpoint;
    CSNAP_ASSIGN(recovery, Recovery::survey(store_, metadata_, on_disk_, has_data()));
  }
  if (!recovery.data_unread().ok())
    add(CheckArea::data, Severity::damage, {},
        "the data of the last commit cannot be read: " + recovery.data_unread().message());

  std::vector<TableFault> faults;
  if (const Status loaded = recovery.load(options_.cache_bytes, &faults); !loaded.ok()) {
    add(CheckArea::journal, Severity::damage, {}, loaded.message());
    return false;
  }
  state_ = &recovery.state();
  report_tables(faults);
  if (journal_damaged_) report_lost_commits();
  const Status replayed = recovery.replay();
  recovered_ = recovery.take();
  return replayed.ok() ? true : replay_mended();
}

// A record met damage. So the state of the checkpoint is looked at as it is, mended in memory, and
// the journal replayed into that.
Result<bool> StoreCheck::replay_mended() {
  CSNAP_ASSIGN(Recovery recovery, Recovery::survey(store_, metadata_, on_disk_, has_data()));
  std::vector<TableFault> faults;
  CSNAP_TRY(recovery.load(options_.cache_bytes, &faults));
  state_ = &recovery.state();
  look_at_all();
  const bool names_lost = snapshots_damaged_;
  Wounds wounds = take_wounds();
  const auto lost_before = std::exchange(wounds.lost, {});
  Mender mender(state(), metadata_);
  const Status mended = mender.mend(wounds);
  mended_ = true;
  mended_before_ = mender.done();
  if (!mended.ok())
    add(CheckArea::journal, Severity::damage, {},
        "the journal cannot be replayed, for what is damaged cannot be mended: " +
            mended.message());
  const Status replayed =
      !mended.ok() ? mended
                   : recovery.replay([&](Sequence, const Record& record, const Status& why) {
                       return replay_over(mender, names_lost, record, why);
                     });
  recovered_ = recovery.take();
  lost_.insert(lost_.end(), lost_before.begin(), lost_before.end());
  if (replayed.ok()) return true;
  if (mended.ok()) add(CheckArea::journal, Severity::damage, {}, replayed.message());
  return false;
}

void StoreCheck::report_journal(const JournalDamage& damage, const LaterCommits& later) {
  std::string text = damage.what;
  if (later.checkpoint)
    text += "; a checkpoint that was made after it is whole, so nothing is lost";
  else
    text += "; what it held cannot be said, and what came after it is lost";
  add(CheckArea::journal, Severity::damage, {}, std::move(text));
}

// Commits that nobody can read. They copied chunks that origin writes then went to, and which ones
// is known to nobody: so it cannot be marked either.
void StoreCheck::report_unknown_commits(const JournalDamage& damage) {
  const std::uint64_t first = damage.at.sequence.value, ring = on_disk_.journal_blocks;
  std::uint64_t commits = 0, chunks = ring * kChunksPerBlock;
  if (later_.commits > 0) {
    commits = later_.end.sequence.value - first - later_.commits;
    const std::uint64_t blocks = (later_.end.block + ring - damage.at.block) % ring;
    chunks = (blocks - std::min(blocks, later_.blocks)) * kChunksPerBlock;
  } else if (on_disk_.reign > damage.at.sequence) {
    commits = on_disk_.reign - damage.at.sequence;
  }
  chunks = std::min(chunks, on_disk_.origin_chunks());
  report_.doubts.push_back(
      (commits == 0   ? "commit " + std::to_string(first) + " of the journal, and those after it,"
       : commits == 1 ? "one commit of the journal (" + std::to_string(first) + ")"
                      : std::to_string(commits) + " commits of the journal (the first is " +
                            std::to_string(first) + ")") +
      " cannot be read, and what was changed by them is not known: where the origin was first "
      "written by them, the snapshots that existed then read what the origin holds now, which may "
      "be other data; chunks that this may be true of: at most " +
      std::to_string(chunks) + ". Snapshots created, deleted or written by them are as before");
}

// What commits behind the damage say was copied for whom: the origin may have been overwritten
// there since.
void StoreCheck::report_lost_commits() {
  if (later_.commits == 0) return;
  Finding& finding = add(CheckArea::journal, Severity::damage, {},
                         number(later_.commits, "commit", "commits") +
                             " behind the damaged one can be read, with " +
                             number(later_.exceptions.size(), "run", "runs") + " of copied chunks");
  for (const ExceptionAdded& added : later_.exceptions) {
    add_lost(finding, {added.chunk, added.crcs.size()}, added.mask);
    lost_.emplace_back(ChunkRun{added.chunk, added.crcs.size()}, added.mask);
  }
  for (const Record& record : later_.others)
    add(CheckArea::journal, Severity::damage, {},
        "what a commit behind the damaged one says has not happened: " + to_string(record));
}

void StoreCheck::report_tables(const std::vector<TableFault>& faults) {
  const bool before = snapshots_damaged_;
  for (const TableFault& fault : faults) {
    const bool snapshots = fault.kind == BlockKind::snapshots;
    (snapshots ? snapshots_damaged_ : clients_damaged_) = true;
    add(snapshots ? CheckArea::snapshots : CheckArea::clients, Severity::damage, fault.block,
        fault.what + (snapshots
                          ? "; names and identities of up to 16 snapshots are lost; content "
                            "of their own is not, and a repair gives it another name"
                          : "; sessions of clients, or what is known of streams, are forgotten"));
  }
  if (snapshots_damaged_ && !before)
    report_.doubts.push_back(
        "snapshots that the damaged table named and that have no content of their own, for the "
        "origin was not written since, cannot be recovered: nothing else says that they existed. "
        "Each would read as the origin does now");
}

// Tries a record again, once what was mended has made way for it.
Status StoreCheck::replay_over(Mender& mender, bool names_lost, const Record& record,
                               const Status& why) {
  const auto* added = std::get_if<ExceptionAdded>(&record);
  if (added == nullptr) return refused(record, why);
  CSNAP_TRY(mender.make_way(*added, names_lost));
  std::vector<StoreRun> freed;
  const Status applied = state().with_blocks([&]() -> Status {
    CSNAP_TRY(state().validate(record));
    return state().apply(record, freed);
  });
  return applied.ok() ? applied : refused(record, applied);
}

// A record that contradicts the state it meets. The rest of the journal is replayed all the same.
Status StoreCheck::refused(const Record& record, const Status& why) {
  if (why.code() == Code::no_space || why.code() == Code::internal) return why;
  Finding& finding = add(CheckArea::journal, Severity::damage, {}, why.message());
  if (const auto* added = std::get_if<ExceptionAdded>(&record)) {
    add_lost(finding, {added->chunk, added->crcs.size()}, added->mask);
    lost_.emplace_back(ChunkRun{added->chunk, added->crcs.size()}, added->mask);
  }
  return {};
}

}  // namespace csnap
