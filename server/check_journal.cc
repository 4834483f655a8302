// SPDX-License-Identifier: Apache-2.0
// From the superblock to the state after the last commit, in memory, whatever stands in the way.
#include <utility>

#include "server/check_impl.h"

namespace csnap {
namespace {

std::string number(std::uint64_t n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

}  // namespace

Result<bool> StoreCheck::open_state() {
  progress("journal", 0, 1);
  CSNAP_ASSIGN(Recovery recovery, Recovery::survey(store_, metadata_, on_disk_));
  while (const auto& damage = recovery.damage()) {
    later_ = read_later_commits(metadata_, on_disk_, *damage, recovery.last_epoch());
    report_journal(*damage, later_);
    journal_damaged_ = !later_.checkpoint;
    if (journal_damaged_) break;
    on_disk_ = *later_.checkpoint;
    CSNAP_ASSIGN(recovery, Recovery::survey(store_, metadata_, on_disk_));
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
  const Status replayed = recovery.replay(
      [this](Sequence, const Record& record, const Status& why) { return refused(record, why); });
  recovered_ = recovery.take();
  if (journal_damaged_) report_lost_commits();
  if (replayed.ok()) return true;
  add(CheckArea::journal, Severity::damage, {}, replayed.message());
  return false;
}

void StoreCheck::report_journal(const JournalDamage& damage, const LaterCommits& later) {
  std::string text = damage.what;
  if (later.checkpoint)
    text += "; a checkpoint that was made after it is whole, so nothing is lost";
  else
    text += "; what this commit held cannot be said, and everything after it is lost";
  add(CheckArea::journal, Severity::damage, {}, std::move(text));
}

// What commits behind the damage say was copied for whom: the origin may have been overwritten
// there since.
void StoreCheck::report_lost_commits() {
  if (later_.commits == 0) return;
  Finding& finding = add(CheckArea::journal, Severity::damage, {},
                         number(later_.commits, "commit", "commits") +
                             " behind the damaged one can be read, with " +
                             number(later_.exceptions.size(), "run", "runs") + " of copied chunks");
  for (const ExceptionAdded& added : later_.exceptions)
    add_lost(finding, {added.chunk, added.crcs.size()}, added.mask);
  for (const Record& record : later_.others)
    add(CheckArea::journal, Severity::damage, {},
        "what a commit behind the damaged one says has not happened: " + to_string(record));
}

void StoreCheck::report_tables(const std::vector<TableFault>& faults) {
  tables_damaged_ = !faults.empty();
  for (const TableFault& fault : faults) {
    const bool snapshots = fault.kind == BlockKind::snapshots;
    add(snapshots ? CheckArea::snapshots : CheckArea::clients, Severity::damage, fault.block,
        fault.what + (snapshots ? "; names and identities of up to 16 snapshots are lost, their "
                                  "content is not"
                                : "; sessions of clients are forgotten"));
  }
}

// A record that contradicts the state it meets. The rest of the journal is replayed all the same.
Status StoreCheck::refused(const Record& record, const Status& why) {
  if (why.code() == Code::no_space || why.code() == Code::internal) return why;
  Finding& finding = add(CheckArea::journal, Severity::damage, {}, why.message());
  if (const auto* added = std::get_if<ExceptionAdded>(&record))
    add_lost(finding, {added->chunk, added->crcs.size()}, added->mask);
  return {};
}

}  // namespace csnap
