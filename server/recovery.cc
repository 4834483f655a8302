// SPDX-License-Identifier: Apache-2.0
#include "server/recovery.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "store/aligned_buffer.h"
#include "store/crc.h"

namespace csnap {
namespace {

// What a first look at the journal tells.
struct Survey {
  std::optional<JournalPosition> last;      // the last whole commit
  std::vector<ExceptionAdded> last_copies;  // its data may not have made it
  Sequence last_completes;                  // the checkpoint that it makes whole, or 0
  JournalPosition head;
  // Newest checkpoint that is whole in the journal, and the one before it, should the last commit
  // turn out to be none.
  std::optional<Superblock> checkpoint, previous_checkpoint;
  std::vector<std::pair<Sequence, StoreRun>> exceptions;  // that any commit adds
};

Result<std::vector<Record>> records_of(const ScannedCommit& commit) {
  std::vector<Record> records;
  std::span<const std::byte> bytes = commit.records;
  while (!bytes.empty()) {
    CSNAP_ASSIGN(Record record, decode_record(bytes));
    records.push_back(std::move(record));
  }
  return records;
}

Status survey_commit(const ScannedCommit& commit, Survey& survey) {
  survey.last = commit.position;
  survey.last_copies.clear();
  survey.last_completes = {};
  CSNAP_ASSIGN(const std::vector<Record> records, records_of(commit));
  for (const auto& record : records) {
    const auto* added = std::get_if<ExceptionAdded>(&record);
    if (!added) continue;
    survey.last_copies.push_back(*added);
    survey.exceptions.emplace_back(commit.position.sequence,
                                   StoreRun{added->store, added->crcs.size()});
  }
  if (!commit.checkpoint_complete) return {};
  for (const auto& image : commit.images) {
    if (image.home != kSuperblockA) continue;
    CSNAP_ASSIGN(Superblock superblock, decode_superblock(image.content, kSuperblockA));
    survey.previous_checkpoint = std::exchange(survey.checkpoint, std::move(superblock));
    survey.last_completes = commit.checkpoint;
  }
  return {};
}

Result<bool> data_made_it(Device& store, const std::vector<ExceptionAdded>& copies,
                          unsigned chunk_shift) {
  const std::uint64_t chunk = 1ULL << chunk_shift;
  AlignedBuffer buffer;
  for (const auto& added : copies) {
    const std::uint64_t per_read = std::max<std::uint64_t>(1, (1u << 20) >> chunk_shift);
    for (std::uint64_t at = 0; at < added.crcs.size(); at += per_read) {
      const std::uint64_t count = std::min<std::uint64_t>(per_read, added.crcs.size() - at);
      if (buffer.size() < count * chunk) buffer = AlignedBuffer(count * chunk);
      const auto data = buffer.span().first(count * chunk);
      if ((added.store + at + count).value << chunk_shift > store.size()) return false;
      CSNAP_TRY(read_sync(store, (added.store + at).value << chunk_shift, data));
      for (std::uint64_t i = 0; i < count; ++i)
        if (stored_checksum(crc32c(data.subspan(i * chunk, chunk))) != added.crcs[at + i])
          return false;
    }
  }
  return true;
}

class Replay {
 public:
  Replay(Device& metadata, Recovered& out, const Survey& survey, std::size_t cache_bytes)
      : metadata_(metadata), out_(out), survey_(survey), cache_bytes_(cache_bytes) {}

  Status run() {
    const Superblock& base = survey_.checkpoint ? *survey_.checkpoint : out_.on_disk;
    base_ = base.checkpoint;
    JournalLayout layout{out_.on_disk.journal, out_.on_disk.journal_blocks};
    auto cache = std::make_unique<BlockCache>(metadata_, base.uuid, cache_bytes_);
    if (survey_.checkpoint) {
      CSNAP_TRY(scan_up_to_head(layout, [&](const ScannedCommit& commit) -> Status {
        if (commit.checkpoint != base_) return {};
        for (const auto& image : commit.images)
          if (image.home != kSuperblockA) cache->install(image.home, image.content);
        return {};
      }));
    }
    CSNAP_ASSIGN(out_.state, StoreState::load(base, std::move(cache)));
    StoreState& state = *out_.state;
    state.superblock().epoch = out_.on_disk.epoch;
    state.superblock().holder = out_.on_disk.holder;
    state.superblock().repairing = out_.on_disk.repairing;
    state.superblock().tail = out_.on_disk.tail;
    // Blocks for the tree must not be taken from where a later record puts data.
    for (const auto& [sequence, run] : survey_.exceptions)
      if (in_play(sequence)) state.data().hold(run);
    return scan_up_to_head(layout, [&](const ScannedCommit& commit) {
      return in_play(commit.position.sequence) ? replay(commit) : Status();
    });
  }

 private:
  bool in_play(Sequence sequence) const {
    return sequence > base_ && sequence < survey_.head.sequence;
  }

  Status scan_up_to_head(const JournalLayout& layout,
                         const std::function<Status(const ScannedCommit&)>& visit) {
    const auto scanned = scan_journal(
        metadata_, layout, out_.on_disk.uuid, out_.on_disk.tail, [&](const ScannedCommit& commit) {
          return commit.position.sequence < survey_.head.sequence ? visit(commit) : Status();
        });
    return scanned.ok() ? Status() : scanned.status();
  }

  Status replay(const ScannedCommit& commit) {
    CSNAP_ASSIGN(const std::vector<Record> records, records_of(commit));
    StoreState& state = *out_.state;
    for (const auto& record : records) {
      const Status valid = state.with_blocks([&] { return state.validate(record); });
      const Status applied =
          !valid.ok() ? valid : state.with_blocks([&] { return state.apply(record, out_.freed); });
      if (!applied.ok())
        return applied.with_context("replaying commit " +
                                    std::to_string(commit.position.sequence.value) + ", " +
                                    to_string(record));
      if (const auto* added = std::get_if<ExceptionAdded>(&record))
        state.data().unhold({added->store, added->crcs.size()});
      ++out_.records;
    }
    ++out_.commits;
    state.cache().trim();
    return {};
  }

  Device& metadata_;
  Recovered& out_;
  const Survey& survey_;
  std::size_t cache_bytes_;
  Sequence base_;
};

}  // namespace

Result<Recovered> recover(Device& store, Device& metadata, std::size_t cache_bytes) {
  Recovered out;
  CSNAP_ASSIGN(out.on_disk, read_superblock(metadata));
  const JournalLayout layout{out.on_disk.journal, out.on_disk.journal_blocks};
  Survey survey;
  CSNAP_ASSIGN(survey.head, scan_journal(metadata, layout, out.on_disk.uuid, out.on_disk.tail,
                                         [&](const ScannedCommit& commit) {
                                           return survey_commit(commit, survey);
                                         }));
  if (survey.last) {
    CSNAP_ASSIGN(const bool whole,
                 data_made_it(store, survey.last_copies, out.on_disk.chunk_shift));
    if (!whole) {
      survey.head = *survey.last;
      if (survey.last_completes.value != 0)
        survey.checkpoint = std::move(survey.previous_checkpoint);
    }
  }
  CSNAP_TRY(Replay(metadata, out, survey, cache_bytes).run());
  out.head = survey.head;
  return out;
}

}  // namespace csnap
