// SPDX-License-Identifier: Apache-2.0
// One check of one store, step by step: superblocks, journal, tree, space, tables, data. What it
// found stays here for the repair.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/check.h"
#include "server/check_reader.h"
#include "server/check_space.h"
#include "server/later_commits.h"
#include "server/mend.h"
#include "server/recovery.h"
#include "server/tree_facts.h"

namespace csnap {

class StoreCheck {
 public:
  StoreCheck(Device& store, Device* metadata, const CheckOptions& options)
      : store_(store),
        metadata_(metadata ? *metadata : store),
        separate_(metadata),
        options_(options) {}

  Status run();
  CheckReport take_report();

  // -- what was found ----------------------------------------------------------------------------
  const CheckReport& report() const { return report_; }
  Recovered& recovered() { return recovered_; }
  // Takes what there is to be mended in the state, which goes on being what it is.
  Wounds take_wounds();
  // Commits behind a damaged one were found, and are not part of the state.
  bool journal_damaged() const { return journal_damaged_; }
  const LaterCommits& later_commits() const { return later_; }
  // The state was mended before the journal was replayed into it.
  bool mended() const { return mended_; }
  const Mended& mended_before() const { return mended_before_; }
  StoreState& state() { return *state_; }

 private:
  bool has_data() const { return options_.has_data && !on_disk_.is_copy(); }
  // check_superblocks.cc. Both: false when there is no going on; the findings say why.
  Result<bool> look_at_superblocks();
  Result<bool> superblock_from_journal(const Status& why);
  Result<bool> look_at_devices();
  // check_journal.cc. The same.
  Result<bool> open_state();
  void report_journal(const JournalDamage& damage, const LaterCommits& later);
  void report_lost_commits();
  void report_unknown_commits(const JournalDamage& damage);
  void report_tables(const std::vector<TableFault>& faults);
  Result<bool> replay_mended();
  Status replay_over(Mender& mender, bool names_lost, const Record& record, const Status& why);
  Status refused(const Record& record, const Status& why);
  void look_at_all();
  // check_tree.cc
  void look_at_tree();
  void report_tree();
  void report_bits(const TreeFacts::Bits& bits, const char* what);
  void report_exceptions();
  void look_at_space();
  void report_space(const SpaceLayout& space, const SpaceFacts& facts, const char* name);
  void report_leaks(const SpaceFacts& facts, const std::string& where);
  void compare_count(const char* what, std::uint64_t said, std::uint64_t found);
  // check_data.cc
  void look_at_checksums();

  Finding& add(CheckArea area, Severity severity, std::optional<BlockAddress> block,
               std::string text);
  // To what the finding says is lost already.
  void add_lost(Finding& finding, ChunkRun chunks, ShareMask mask) const;
  void progress(const char* what, std::uint64_t done, std::uint64_t total) const {
    if (options_.progress) options_.progress(what, done, total);
  }

  Device& store_;
  Device& metadata_;
  Device* const separate_;
  const CheckOptions& options_;
  CheckReport report_;
  Superblock on_disk_;
  Recovered recovered_;
  StoreState* state_ = nullptr;  // recovered_'s
  LaterCommits later_;           // behind a damaged one
  std::unique_ptr<BlockReader> reader_;
  TreeFacts tree_;
  std::vector<BlockAddress> bad_checksums_;
  std::vector<std::pair<ChunkRun, ShareMask>> lost_;  // what records say that were left out
  bool snapshots_damaged_ = false, clients_damaged_ = false;
  Mended mended_before_;
  bool mended_ = false;           // in memory, so that the journal could be replayed
  bool journal_damaged_ = false;  // and later commits are lost
};

}  // namespace csnap
