// SPDX-License-Identifier: Apache-2.0
#include "server/later_commits.h"

#include <utility>

namespace csnap {
namespace {

// A row of commits without a gap.
class Chain {
 public:
  explicit Chain(LaterCommits& out) : out_(out) {}

  Status take(const ScannedCommit& commit) {
    if (!first_) first_ = commit.position.sequence;
    ++out_.commits;
    out_.blocks += commit.blocks;
    std::span<const std::byte> bytes = commit.records;
    while (!bytes.empty()) {
      CSNAP_ASSIGN(Record record, decode_record(bytes));
      keep(std::move(record));
    }
    if (!commit.checkpoint_complete) return {};
    for (const Image& image : commit.images) {
      if (image.home != kSuperblockA) continue;
      CSNAP_ASSIGN(Superblock superblock, decode_superblock(image.content, kSuperblockA));
      // Its images may have begun before the damage.
      if (superblock.tail.sequence >= *first_) out_.checkpoint = std::move(superblock);
    }
    return {};
  }

 private:
  void keep(Record record) {
    if (auto* added = std::get_if<ExceptionAdded>(&record))
      out_.exceptions.push_back(std::move(*added));
    else if (std::holds_alternative<SharesCleared>(record) ||
             std::holds_alternative<SnapshotCreated>(record) ||
             std::holds_alternative<SnapshotRenamed>(record) ||
             std::holds_alternative<SnapshotDeleted>(record) ||
             std::holds_alternative<SnapshotSealed>(record) ||
             std::holds_alternative<SnapshotReceived>(record))
      out_.others.push_back(std::move(record));
  }

  LaterCommits& out_;
  std::optional<Sequence> first_;
};

}  // namespace

LaterCommits read_later_commits(Device& metadata, const Superblock& on_disk,
                                const JournalDamage& damage, Epoch last_epoch) {
  const JournalLayout layout{on_disk.journal, on_disk.journal_blocks};
  LaterCommits out;
  out.end = damage.at;
  while (!out.checkpoint) {
    const auto later =
        find_later_commit(metadata, layout, on_disk.uuid, on_disk.tail, out.end, last_epoch);
    if (!later.ok() || !*later) return out;
    out.end = (*later)->position;
    Chain chain(out);
    Status stopped = Status(Code::cancelled, "");
    const auto scanned =
        scan_journal(metadata, layout, on_disk.uuid, (*later)->position,
                     [&](const ScannedCommit& commit) -> Status {
                       out.end = {(commit.position.block + commit.blocks) % layout.blocks,
                                  commit.position.sequence + 1};
                       CSNAP_TRY(chain.take(commit));
                       return out.checkpoint ? stopped : Status();
                     });
    if (scanned.ok()) out.end = *scanned;
  }
  // What the servers of since then said of themselves stays.
  out.checkpoint->epoch = std::max(out.checkpoint->epoch, on_disk.epoch);
  out.checkpoint->reign = on_disk.reign;
  out.checkpoint->repairing = on_disk.repairing;
  out.checkpoint->holder = on_disk.holder;
  out.checkpoint->clean = false;
  return out;
}

}  // namespace csnap
