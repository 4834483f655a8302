// SPDX-License-Identifier: Apache-2.0
#include "server/recovery.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "store/aligned_buffer.h"
#include "store/crc.h"

namespace csnap {
namespace {

Result<std::vector<Record>> records_of(const ScannedCommit& commit) {
  constexpr std::size_t kUsualBytes = 32;
  std::vector<Record> records;
  std::span<const std::byte> bytes = commit.records;
  records.reserve(bytes.size() / kUsualBytes + 1);
  while (!bytes.empty()) {
    CSNAP_ASSIGN(Record record, decode_record(bytes));
    records.push_back(std::move(record));
  }
  return records;
}

Result<bool> data_made_it(Device& store, const std::vector<Record>& records, unsigned chunk_shift) {
  const std::uint64_t chunk = 1ULL << chunk_shift;
  AlignedBuffer buffer;
  for (const auto& record : records) {
    if (!std::holds_alternative<ExceptionAdded>(record)) continue;
    const auto& added = std::get<ExceptionAdded>(record);
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

// Where this record puts data, or lets a client put it.
std::optional<StoreRun> data_place(const Record& record) {
  if (const auto* added = std::get_if<ExceptionAdded>(&record))
    return StoreRun{added->store, added->crcs.size()};
  const auto* pool = std::get_if<ClientPool>(&record);
  if (pool && pool->run.count > 0) return pool->run;
  return std::nullopt;
}

// Would anything be missing without this commit?
bool is_needed(const ScannedCommit& commit, const std::vector<Record>& records) {
  return commit.checkpoint_complete ||
         std::any_of(records.begin(), records.end(),
                     [](const auto& r) { return !std::holds_alternative<ServerStarted>(r); });
}

// Writes the images home, adjacent ones together.
Status write_images(Device& metadata, const std::vector<Image>& images) {
  AlignedBuffer buffer(images.size() * kBlockSize);
  Status outcome;
  for (std::size_t from = 0, to = 0; from < images.size(); from = to) {
    for (to = from; to < images.size() && images[to].home == images[from].home + (to - from); ++to)
      std::memcpy(buffer.span().data() + to * kBlockSize, images[to].content.data(), kBlockSize);
    metadata.submit({IoKind::write, images[from].home.value * kBlockSize,
                     buffer.span().subspan(from * kBlockSize, (to - from) * kBlockSize),
                     [&outcome](Status status) {
                       if (outcome.ok()) outcome = std::move(status);
                     }});
  }
  while (metadata.in_flight() > 0) metadata.wait();
  return outcome.with_context("writing a checkpoint home");
}

std::string place(JournalPosition at) {
  return "commit " + std::to_string(at.sequence.value) + " (block " + std::to_string(at.block) +
         " of the ring)";
}

}  // namespace

Recovery::Recovery(Device& store, Device& metadata, const Superblock& on_disk)
    : store_(&store), metadata_(&metadata) {
  out_.on_disk = on_disk;
  out_.head = needed_ = needed_before_last_ = on_disk.tail;
}

Result<Recovery> Recovery::survey(Device& store, Device& metadata, const Superblock& on_disk,
                                  bool has_data) {
  Recovery self(store, metadata, on_disk);
  const Status scanned = self.scan(
      on_disk.tail, [&](const ScannedCommit& commit) { return self.survey_commit(commit); });
  CSNAP_TRY(self.find_damage(scanned));
  if (self.damage_) return self;
  // A commit with another one behind it was durable, data and all; so was one of an earlier epoch.
  if (!self.commits_.empty() && self.commits_.back().sequence >= on_disk.reign && has_data)
    CSNAP_TRY(self.judge_last());
  self.out_.head = self.needed_;
  return self;
}

Status Recovery::scan(JournalPosition from,
                      const std::function<Status(const ScannedCommit&)>& visit) {
  return scan_journal(*metadata_, {out_.on_disk.journal, out_.on_disk.journal_blocks},
                      out_.on_disk.uuid, from, visit)
      .status();
}

Status Recovery::survey_commit(const ScannedCommit& commit) {
  CSNAP_ASSIGN(std::vector<Record> records, records_of(commit));
  std::optional<Superblock> complete;
  if (commit.checkpoint_complete)
    for (const auto& image : commit.images)
      if (image.home == kSuperblockA) {
        CSNAP_ASSIGN(complete, decode_superblock(image.content, kSuperblockA));
      }
  commits_.push_back(commit.position);
  last_epoch_ = commit.epoch;
  for (const auto& record : records)
    if (const auto place = data_place(record))
      data_places_.emplace_back(commit.position.sequence, *place);
  out_.head = {(commit.position.block + commit.blocks) % out_.on_disk.journal_blocks,
               commit.position.sequence + 1};
  needed_before_last_ = needed_;
  if (is_needed(commit, records)) needed_ = out_.head;
  last_records_.clear();
  if (complete)
    checkpoint_ = std::move(complete);
  else
    last_records_ = std::move(records);
  return {};
}

Status Recovery::find_damage(const Status& scanned) {
  if (!scanned.ok()) {
    damage_ = {out_.head, scanned.code(), scanned.message(), {}};
    return {};
  }
  // Nobody writes a commit after having said that all is home.
  if (out_.on_disk.clean && commits_.empty()) return {};
  // What lies behind the first commit of an epoch, and is older, was given up by the server that
  // wrote that one, or was about to.
  const Epoch epoch = std::max(last_epoch_, out_.on_disk.epoch);
  const bool short_of_reign = out_.head.sequence < out_.on_disk.reign;
  CSNAP_ASSIGN(const auto later,
               find_later_commit(*metadata_, {out_.on_disk.journal, out_.on_disk.journal_blocks},
                                 out_.on_disk.uuid, out_.on_disk.tail, out_.head,
                                 short_of_reign ? last_epoch_ : epoch));
  if (!later && short_of_reign)
    damage_ = {out_.head,
               Code::corrupt,
               "the journal is damaged at " + place(out_.head) +
                   ": it ends there, and went on to " + "commit " +
                   std::to_string(out_.on_disk.reign.value) + " when a server was started last",
               {}};
  if (!later) return {};
  damage_ = {out_.head, Code::corrupt,
             "the journal is damaged at " + place(out_.head) + ": it is not there, but " +
                 place(later->position) + " is, which was written after it",
             later};
  return {};
}

// Did the data of the last commit reach the disk? If not, that commit never was. The one that makes
// a checkpoint whole brings none (see Committer): its homes may have been written, and there would
// be no way back.
Status Recovery::judge_last() {
  const auto whole = data_made_it(*store_, last_records_, out_.on_disk.chunk_shift);
  if (!whole.ok()) {
    data_unread_ = whole.status();
    return {};
  }
  if (!*whole) needed_ = needed_before_last_;
  return {};
}

Status Recovery::write_checkpoint_home() {
  // It may have been found in a cache of the disk, by a server that died before its flush.
  CSNAP_TRY(flush_sync(*metadata_));
  CSNAP_TRY(scan_behind(checkpoint_->checkpoint, [&](const ScannedCommit& commit) -> Status {
    if (commit.checkpoint != checkpoint_->checkpoint) return {};
    std::vector<Image> images = commit.images;
    std::erase_if(images, [](const Image& image) { return image.home == kSuperblockA; });
    return write_images(*metadata_, images);
  }));
  CSNAP_TRY(flush_sync(*metadata_));
  Superblock done = *checkpoint_;
  done.epoch = out_.on_disk.epoch;
  done.reign = out_.on_disk.reign;
  done.holder = out_.on_disk.holder;
  done.repairing = out_.on_disk.repairing;
  done.clean = false;
  CSNAP_TRY(write_superblock(*metadata_, done));
  out_.on_disk = std::move(done);
  checkpoint_.reset();
  return {};
}

// The commits that follow the checkpoint: its images are in them, and what to apply to it.
Status Recovery::scan_behind(Sequence checkpoint,
                             const std::function<Status(const ScannedCommit&)>& visit) {
  const auto first = std::find_if(commits_.begin(), commits_.end(),
                                  [&](const auto& at) { return at.sequence > checkpoint; });
  if (first == commits_.end()) return {};
  // What lies behind a damaged commit is not wanted, nor what is wrong with it.
  Status visited;
  const Status scanned = scan(*first, [&](const ScannedCommit& commit) -> Status {
    if (commit.position.sequence < out_.head.sequence) visited = visit(commit);
    return visited;
  });
  return visited.ok() && damage_ ? Status() : scanned;
}

Status Recovery::load(std::size_t cache_bytes, std::vector<TableFault>* faults) {
  const Superblock& base = checkpoint_ ? *checkpoint_ : out_.on_disk;
  base_ = base.checkpoint;
  auto cache = std::make_unique<BlockCache>(*metadata_, base.uuid, cache_bytes);
  if (checkpoint_) {
    CSNAP_TRY(scan_behind(base_, [&](const ScannedCommit& commit) -> Status {
      if (commit.checkpoint != base_) return {};
      for (const auto& image : commit.images)
        if (image.home != kSuperblockA) cache->install(image.home, image.content);
      return {};
    }));
  }
  CSNAP_ASSIGN(out_.state, StoreState::load(base, std::move(cache), faults));
  Superblock& superblock = out_.state->superblock();
  superblock.epoch = out_.on_disk.epoch;
  superblock.reign = out_.on_disk.reign;
  superblock.holder = out_.on_disk.holder;
  superblock.repairing = out_.on_disk.repairing;
  superblock.tail = out_.on_disk.tail;
  return {};
}

Status Recovery::replay(const Refused& refused) {
  // Blocks for the tree must not be taken from where a later record puts data.
  for (const auto& [sequence, run] : data_places_)
    if (in_play(sequence)) out_.state->data().hold(run);
  return scan_behind(base_, [&](const ScannedCommit& commit) {
    return in_play(commit.position.sequence) ? replay_commit(commit, refused) : Status();
  });
}

Status Recovery::replay_commit(const ScannedCommit& commit, const Refused& refused) {
  CSNAP_ASSIGN(const std::vector<Record> records, records_of(commit));
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& record = records[i];
    if (i % ExceptionTree::kWarmAtOnce == 0) out_.state->warm(std::span(records).subspan(i));
    Status applied = apply(commit.position.sequence, std::span(records).subspan(i));
    if (!applied.ok() && refused) applied = refused(commit.position.sequence, record, applied);
    CSNAP_TRY(applied);
    if (const auto place = data_place(record)) out_.state->data().unhold(*place);
    ++out_.records;
  }
  ++out_.commits;
  out_.state->cache().trim();
  return {};
}

// Reads blocks that these records will want, many at once: one after another they would be most of
// the time that a restart takes. What cannot be read is told to the record that needs it.
void Recovery::fetch_ahead(std::span<const Record> records) {
  BlockCache& cache = out_.state->cache();
  records = records.first(std::min(records.size(), cache.capacity() / 4));
  for (bool all = true; all;) {
    std::set<BlockAddress> missing;
    for (const auto& record : records) {
      Status s = out_.state->validate(record);
      const auto* added = std::get_if<ExceptionAdded>(&record);
      if (s.ok() && added) s = out_.state->checksums().prepare({added->store, added->crcs.size()});
      if (s.code() == Code::need_block) missing.insert(BlockAddress(s.detail()));
    }
    if (missing.empty()) return;
    all = cache.fetch_all(std::vector(missing.begin(), missing.end()));
  }
}

// Applies the first of these records.
Status Recovery::apply(Sequence sequence, std::span<const Record> records) {
  StoreState& state = *out_.state;
  const Record& record = records.front();
  Status valid = state.validate(record);
  if (valid.code() == Code::need_block) {
    fetch_ahead(records);
    valid = state.with_blocks([&] { return state.validate(record); });
  }
  const Status applied =
      !valid.ok() ? valid : state.with_blocks([&] { return state.apply(record, out_.freed); });
  if (applied.ok()) return {};
  return applied.with_context("replaying commit " + std::to_string(sequence.value) + ", " +
                              to_string(record));
}

Result<Recovered> recover(Device& store, Device& metadata, std::size_t cache_bytes, Images images) {
  CSNAP_ASSIGN(const Superblock on_disk, read_superblock(metadata));
  CSNAP_ASSIGN(auto recovery, Recovery::survey(store, metadata, on_disk));
  CSNAP_TRY(recovery.data_unread());
  if (const auto& damage = recovery.damage()) {
    if (!damage->later) return Status(damage->code, damage->what);
    return Status(Code::corrupt, damage->what +
                                     ". Commits that were acknowledged are lost; run csnap-check "
                                     "to see what can be saved");
  }
  if (recovery.checkpoint() && images == Images::write_home)
    CSNAP_TRY(recovery.write_checkpoint_home());
  CSNAP_TRY(recovery.load(cache_bytes));
  CSNAP_TRY(recovery.replay());
  return recovery.take();
}

Result<Recovered> recover_to_read(Device& store, Device* metadata, bool has_data,
                                  std::size_t cache_bytes) {
  Device& home = metadata ? *metadata : store;
  CSNAP_ASSIGN(const Superblock on_disk, read_superblock(home));
  CSNAP_TRY(check_devices(on_disk, store, metadata));
  if (on_disk.repairing)
    return Status(Code::unavailable,
                  "a repair or restore of this store was begun and not finished; do it again first "
                  "(csnap-check --repair, csnap-restore)");
  CSNAP_ASSIGN(auto recovery,
               Recovery::survey(store, home, on_disk, has_data && !on_disk.is_copy()));
  CSNAP_TRY(recovery.data_unread());
  if (const auto& damage = recovery.damage())
    return Status(damage->code, damage->what + "; repair it first: csnap-check --repair");
  CSNAP_TRY(recovery.load(cache_bytes));
  CSNAP_TRY(recovery.replay());
  return recovery.take();
}

}  // namespace csnap
