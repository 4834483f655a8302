// SPDX-License-Identifier: Apache-2.0
#include "server/repair.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "server/check_impl.h"
#include "server/offline.h"
#include "store/aligned_buffer.h"
#include "store/patient_device.h"

namespace csnap {
namespace {

constexpr int kRounds = 4;
// Blocks of tables, superblock and the commits that carry them, generously.
constexpr std::uint64_t kOverhead = 64;

// Does so much fit into the ring, with all that must not be written over?
bool fits(const Recovered& recovered, std::uint64_t dirty, bool empty_ring) {
  const std::uint64_t ring = recovered.on_disk.journal_blocks;
  const std::uint64_t live = (recovered.head.block + ring - recovered.on_disk.tail.block) % ring;
  const std::uint64_t needed = dirty + dirty / 16 + std::min(kOverhead, ring / 4);
  return needed + (empty_ring ? 0 : live) < ring;
}

// Until nothing is found any more: what is wrong may hide more that is wrong.
Status mend(StoreState& state, Device& metadata, Wounds wounds, Mended& done) {
  Mender mender(state, metadata);
  for (int round = 0; round < kRounds; ++round) {
    CSNAP_TRY(mender.mend(wounds));
    done = mender.done();
    BlockReader reader(metadata, state.cache(), state.superblock().uuid);
    wounds = {};
    wounds.tree = gather_tree(reader, state.superblock(), std::as_const(state).snapshots());
    if (!wounds.tree.chunks_twice.empty())
      find_owners(reader, state.superblock(), wounds.tree.chunks_twice,
                  BadException::Why::used_twice, wounds.tree);
    if (wounds.tree.sound()) return {};
  }
  return {};
}

// What is dirty goes home without a journal.
Status write_home(Recovered& recovered, Device& metadata, const std::string& holder) {
  StoreState& state = *recovered.state;
  Superblock& s = state.superblock();
  s.checkpoint = recovered.head.sequence - 1;
  s.tail = recovered.head;
  s.reign = recovered.head.sequence;
  s.epoch = std::max(s.epoch, recovered.on_disk.epoch) + 1;
  s.holder = holder.substr(0, kMaxHolder);
  s.repairing = false;
  s.clean = true;
  if (!s.separate_metadata) s.mark_as_copy();
  CSNAP_TRY(write_homes(state, metadata));
  // The journal ends here: what may follow was not needed, or was left out.
  AlignedBuffer end(kBlockSize);
  CSNAP_TRY(write_sync(metadata, (s.journal + s.tail.block).value * kBlockSize, end.span()));
  CSNAP_TRY(flush_sync(metadata));
  return write_superblock(metadata, s);
}

class Repair {
 public:
  Repair(Device& store, Device* metadata, const RepairOptions& options)
      : store_(store),
        separate_(metadata),
        metadata_(metadata ? *metadata : store),
        options_(options) {}

  Result<RepairReport> run() {
    CSNAP_TRY(find_superblock());
    CSNAP_ASSIGN(auto check, look());
    const CheckReport& found = check->report();
    const bool sound = !found.damaged() && found.number_of(Severity::leak) == 0;
    if (!found.complete || (sound && !options_.copy)) {
      report_.before = check->take_report();
      report_.after = report_.before;
      return std::move(report_);
    }
    report_.changed |= !sound;
    CSNAP_TRY(repair(std::move(check)));
    CheckOptions again = options_.check;
    again.data = false;  // what was wrong with the data is known
    CSNAP_ASSIGN(report_.after, check_store(store_, separate_, again));
    report_.after.counts.data_chunks = report_.before.counts.data_chunks;
    report_.after.counts.unverifiable = report_.before.counts.unverifiable;
    return std::move(report_);
  }

 private:
  Status find_superblock() {
    const auto there = read_superblock(metadata_);
    if (there.ok() && !options_.copy) CSNAP_TRY(refuse_copy(*there, metadata_));
    const bool cut_off = metadata_.size() < (kSuperblockB.value + 1) * kBlockSize;
    if (there.status().code() != Code::corrupt || cut_off) return {};
    auto found = find_superblock_in_journal(store_, metadata_);
    if (!found.ok())
      return Status(Code::corrupt, "neither copy of the superblock can be trusted, and " +
                                       found.status().message() +
                                       "; restore the metadata from a dump");
    report_.deeds.push_back(
        "neither copy of the superblock could be trusted; the one of checkpoint " +
        std::to_string(found->checkpoint.value) + " was found in the journal");
    report_.changed = true;
    return write_superblock(metadata_, *found);
  }

  Result<std::unique_ptr<StoreCheck>> look() {
    auto check = std::make_unique<StoreCheck>(store_, separate_, options_.check);
    CSNAP_TRY(check->run());
    if (options_.check.data || !check->journal_damaged()) return check;
    // What the lost commits freed, and others wrote anew, only its checksums tell.
    with_data_ = options_.check;
    with_data_.data = with_data_.has_data;
    check = std::make_unique<StoreCheck>(store_, separate_, with_data_);
    CSNAP_TRY(check->run());
    report_.deeds.push_back(
        "commits are lost, so the data of all exceptions was compared with its checksums");
    return check;
  }

  // What was wrong beside tree and space, and is not any more.
  void tell(const CheckReport& found, const Recovered& recovered) {
    std::vector<std::string>& deeds = report_.deeds;
    const auto damaged = [&](CheckArea area) {
      return std::any_of(found.findings.begin(), found.findings.end(), [area](const Finding& f) {
        return f.area == area && f.severity == Severity::damage;
      });
    };
    for (const Finding& finding : found.findings)
      if (finding.area == CheckArea::superblock && finding.severity == Severity::damage)
        deeds.push_back(finding.block
                            ? "the copy of the superblock at block " +
                                  std::to_string(finding.block->value) + " was written anew"
                            : "the mark of an unfinished repair or restore was taken off");
    if (damaged(CheckArea::journal))
      deeds.push_back("what can be read of the damaged journal was used, and a new one begun");
    if (recovered.commits > 0)
      deeds.push_back(std::to_string(recovered.commits) +
                      (recovered.commits == 1 ? " commit" : " commits") +
                      " of the journal replayed");
    if (damaged(CheckArea::snapshots)) deeds.push_back("the snapshot table was written anew");
    if (damaged(CheckArea::clients))
      deeds.push_back("the client table was written anew, without the sessions that were damaged");
    if (damaged(CheckArea::counts)) deeds.push_back("the counts in the superblock were corrected");
  }

  Status repair(std::unique_ptr<StoreCheck> check) {
    tell(check->report(), check->recovered());
    Wounds wounds = check->take_wounds();
    CSNAP_TRY(mend(check->state(), metadata_, std::move(wounds), report_.done));
    report_.done.add(check->mended_before());
    if (!report_.changed) report_.done = {};  // its bitmaps were right, and were worked out again
    name_lost(check->state());
    const bool doubtful = check->journal_damaged() || !report_.done.lost.empty();
    if (doubtful && check->state().forget_identities())
      report_.deeds.push_back(
          "snapshots may not be what they were sent or received as: the next one is sent whole");
    Recovered& recovered = check->recovered();
    const std::uint64_t dirty = check->state().cache().dirty();
    CSNAP_TRY(mend_label(check->report(), recovered.on_disk));
    if (options_.copy) {
      if (check->journal_damaged()) recovered.head = check->later_commits().end;
      report_.before = check->take_report();
      return write_home(recovered, metadata_, options_.holder);
    }
    const JournalPosition gap = recovered.head;
    // What proves the damage is overwritten only when it is mended.
    if (check->journal_damaged()) recovered.head = check->later_commits().end;
    if (!fits(recovered, dirty, false)) recovered.head = gap;
    if (fits(recovered, dirty, false)) {
      report_.before = check->take_report();
      return adopt(std::move(recovered));
    }
    if (!fits(recovered, dirty, true) || check->journal_damaged() || check->mended())
      return Status(Code::no_space, "the repair changes " + std::to_string(dirty) +
                                        " blocks of metadata, more than the journal takes at "
                                        "once; repair a copy, with --to");
    report_.before = check->take_report();
    return repair_with_empty_journal();
  }

  Status adopt(Recovered recovered) {
    CSNAP_ASSIGN(auto offline,
                 OfflineStore::adopt(store_, separate_, std::move(recovered), options_.holder));
    return offline->finish();
  }

  // What is in the journal goes home first; then there is room.
  Status repair_with_empty_journal() {
    CheckOptions quiet = options_.check;
    StoreCheck check(store_, separate_, quiet);
    CSNAP_TRY(check.run());
    Wounds wounds = check.take_wounds();
    CSNAP_ASSIGN(auto offline, OfflineStore::adopt(store_, separate_, std::move(check.recovered()),
                                                   options_.holder));
    // Its images stay in the journal until another checkpoint is there.
    CSNAP_TRY(offline->checkpoint());
    Mended again;  // the same as has been said already
    CSNAP_TRY(mend(offline->state(), metadata_, std::move(wounds), again));
    if (!again.lost.empty()) offline->state().forget_identities();
    return offline->finish();
  }

  Status mend_label(const CheckReport& found, const Superblock& superblock) {
    const bool damaged =
        std::any_of(found.findings.begin(), found.findings.end(),
                    [](const Finding& f) { return f.area == CheckArea::data_label; });
    if (!damaged || !separate_ || options_.copy) return {};
    AlignedBuffer block(kBlockSize);
    encode_data_label(superblock, block.span());
    CSNAP_TRY(write_sync(store_, kDataLabel.value * kBlockSize, block.span()));
    report_.deeds.push_back("the data label on " + store_.name() + " was written anew");
    return flush_sync(store_);
  }

  void name_lost(StoreState& state) {
    for (const auto& [run, mask] : report_.done.lost) {
      LostRange range{run, mask, {}};
      for (const Snapshot& snapshot : std::as_const(state).snapshots().all())
        if (!snapshot.deleting && (mask & mask_of_bit(snapshot.bit)))
          range.snapshots.push_back(snapshot.name);
      report_.lost.push_back(std::move(range));
    }
  }

  Device& store_;
  Device* const separate_;
  Device& metadata_;
  const RepairOptions& options_;
  CheckOptions with_data_;
  RepairReport report_;
};

}  // namespace

Result<RepairReport> repair_store(Device& store, Device* metadata, const RepairOptions& options) {
  // What cannot be read is given up for good: it must not be a passing trouble.
  PatientDevice patient_store(store);
  std::optional<PatientDevice> patient_metadata;
  if (metadata) patient_metadata.emplace(*metadata);
  return Repair(patient_store, patient_metadata ? &*patient_metadata : nullptr, options).run();
}

}  // namespace csnap
