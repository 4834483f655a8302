// SPDX-License-Identifier: Apache-2.0
#include "server/restore.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "btree/tree_format.h"
#include "server/chunk_set.h"
#include "server/offline.h"
#include "store/aligned_buffer.h"
#include "store/checksums.h"
#include "store/remake_store.h"
#include "store/space.h"

namespace csnap {
namespace {

// The sequences of a restored store begin so far beyond those of the dump: what the store came to
// after it was dumped must look old.
constexpr std::uint64_t kSequenceLeap = 1ULL << 40;
// The same for ids and transids. They begin at the time, too, so that two lives of one dump have
// different ones: 2^20 a second, which nobody makes.
constexpr std::uint64_t kIdLeap = 1ULL << 32;
constexpr std::uint64_t kIdsPerSecond = 1ULL << 20;
// Blocks of bitmap or checksum table that one edit makes: fewer than OfflineStore allows.
constexpr std::uint64_t kGrowth = 16;
constexpr std::uint64_t kLinesPerReport = 4096;  // lines

// Guesses, from below, how many blocks the tree will have.
class TreeSize {
 public:
  void add(const DumpException& exception) {
    std::size_t bytes = sizeof(DiskLeafEntry);
    if (!masks_.contains(exception.mask)) bytes += kMaskSize;
    if (used_ + bytes > kLeafRoom) {
      ++leaves_;
      used_ = 0;
      masks_.clear();
      bytes = sizeof(DiskLeafEntry) + kMaskSize;
    }
    masks_.insert(exception.mask);
    used_ += bytes;
  }
  std::uint64_t blocks() const {
    std::uint64_t level = leaves_ + (used_ > 0), all = level;
    while (level > 1) {
      level = (level + kMaxNodeEntries - 1) / kMaxNodeEntries;
      all += level;
    }
    return all;
  }

 private:
  std::uint64_t leaves_ = 0;
  std::size_t used_ = 0;
  std::set<ShareMask> masks_;
};

Status check_size(const Device& device, const SpaceLayout& space) {
  const std::uint64_t needed = space.blocks * kBlockSize;
  if (device.size() >= needed) return {};
  return Status(Code::no_space, device.name() + " has " + std::to_string(device.size()) +
                                    " bytes, but the dump is of a store that uses " +
                                    std::to_string(needed));
}

class Restore {
 public:
  Restore(Device& store, Device* metadata, DumpInput& input, const RestoreOptions& options)
      : store_(store),
        separate_(metadata),
        metadata_(metadata ? *metadata : store),
        input_(input),
        options_(options) {}

  // Reads all of it, writes nothing.
  Status judge() {
    CSNAP_TRY(input_.rewind());
    CSNAP_ASSIGN(DumpReader reader, DumpReader::open(input_));
    plan_ = reader.plan();
    if (const Status fits = check_devices(); !fits.ok()) return reader.at_line(fits);
    used_ = ChunkSet(plan_.store_chunks());
    TreeSize tree;
    for (;;) {
      CSNAP_ASSIGN(const auto exception, reader.next());
      if (!exception) break;
      tree.add(*exception);
      tell("reading", reader.totals().exceptions, 0);
      if (exception->lost()) continue;
      const StoreRun run{exception->store, exception->chunks.count};
      if (used_.overlaps(run))
        return reader.at_line(Status(Code::corrupt, "store chunks that hold another exception"));
      used_.insert(run);
    }
    totals_ = reader.totals();
    fingerprint_ = reader.fingerprint();
    return check_room(tree.blocks());
  }

  Result<Restored> run() {
    CSNAP_TRY(judge());
    plan_beginning();
    CSNAP_TRY(wipe());
    plan_.repairing = true;
    CSNAP_TRY(remake_store(store_, separate_, plan_));
    // A crash makes no difference: whatever is there then, a restore begins anew.
    CSNAP_ASSIGN(offline_, OfflineStore::open(store_, separate_, options_.cache_bytes,
                                              options_.holder, OfflineStore::Through::homes));
    CSNAP_TRY(make_bitmaps());
    CSNAP_TRY(fill());
    CSNAP_TRY(offline_->finish());
    return Restored{offline_->state().superblock(), totals_};
  }

 private:
  void tell(const char* what, std::uint64_t done, std::uint64_t total) {
    if (options_.progress && done % kLinesPerReport == 0) options_.progress(what, done, total);
  }

  Status check_devices() {
    if (plan_.separate_metadata != (separate_ != nullptr))
      return Status(Code::invalid,
                    separate_ ? "the dump is of a store without a metadata device of its own"
                              : "the dump is of a store with a metadata device of its own; name it "
                                "with --metadata");
    CSNAP_TRY(check_size(store_, plan_.data));
    return separate_ ? check_size(*separate_, plan_.metadata) : Status();
  }

  Status check_room(std::uint64_t tree) {
    const SpaceLayout& space = std::as_const(plan_).metadata_space();
    std::uint64_t room = space.free_blocks;
    if (!separate_) room -= totals_.chunks * plan_.blocks_per_chunk();
    if (tree <= room) return {};
    return Status(Code::no_space, "the store has room for " + std::to_string(room) +
                                      " blocks of metadata beside its data, at least " +
                                      std::to_string(tree) + " are needed");
  }

  // Later than all that may still lie around on the devices.
  void plan_beginning() {
    Sequence last = plan_.checkpoint;
    const auto old = read_superblock(metadata_);
    // Every server and every repair begins another epoch.
    unchanged_ = old.ok() && old->uuid == plan_.uuid && old->epoch == plan_.epoch;
    if (old.ok()) {
      plan_.next_snapshot = std::max(plan_.next_snapshot, old->next_snapshot);
      plan_.epoch = std::max(plan_.epoch, old->epoch);
      last = std::max({last, old->checkpoint, old->tail.sequence});
    }
    if (!unchanged_)
      plan_.next_snapshot = SnapshotId(std::max(plan_.next_snapshot.value + kIdLeap,
                                                options_.wall_ns / 1'000'000'000 * kIdsPerSecond));
    plan_.epoch = plan_.epoch + 1;
    plan_.checkpoint = last + kSequenceLeap;
    plan_.tail.sequence = plan_.checkpoint + 1;
  }

  // No store any more, then no journal: old commits of the same store must not follow new ones.
  Status wipe() {
    AlignedBuffer zero(1u << 20);
    for (const BlockAddress block : {kSuperblockA, kSuperblockB})
      CSNAP_TRY(write_sync(metadata_, block.value * kBlockSize, zero.span().first(kBlockSize)));
    CSNAP_TRY(flush_sync(metadata_));
    const std::uint64_t at_once = zero.size() / kBlockSize;
    for (std::uint64_t at = 0; at < plan_.journal_blocks; at += at_once) {
      const std::uint64_t count = std::min(at_once, plan_.journal_blocks - at);
      CSNAP_TRY(write_sync(metadata_, (plan_.journal + at).value * kBlockSize,
                           zero.span().first(count * kBlockSize)));
    }
    return flush_sync(metadata_);
  }

  // All exceptions are marked used before the first block is taken for the tree.
  Status make_bitmaps() {
    StoreState& state = offline_->state();
    const std::uint64_t end = used_.size();
    for (std::uint64_t at = 0; at < end;) {
      const std::uint64_t from = used_.find(at, end, true);
      const std::uint64_t to = std::min(used_.find(from, end, false), from + kMaxDumpRun);
      if (from >= end) break;
      CSNAP_TRY(grow_to(StoreChunk(to - 1)));
      CSNAP_TRY(offline_->edit([&] {
        return state.data().mark_used({StoreChunk(from), to - from});
      }));
      if (options_.progress) options_.progress("bitmaps", to, end);
      at = to;
    }
    state.superblock().exceptions = totals_.chunks;
    return {};
  }

  // Bitmap and checksum blocks up to those of the chunk, few at a time.
  Status grow_to(StoreChunk last) {
    StoreState& state = offline_->state();
    const Superblock& s = state.superblock();
    const std::uint64_t per_chunk = s.blocks_per_chunk();
    const std::uint64_t group = last.value * per_chunk / kBitsPerBitmapBlock;
    while (group >= s.data.bitmap_ready + kGrowth) {
      const StoreChunk there((s.data.bitmap_ready + kGrowth - 1) * kBitsPerBitmapBlock / per_chunk);
      CSNAP_TRY(offline_->edit([&] { return state.data().prepare({there, 1}); }));
    }
    const std::uint64_t table = (last - s.first_chunk()) / kChecksumsPerBlock;
    while (table >= s.checksums_ready + kGrowth) {
      const StoreChunk there =
          s.first_chunk() + (s.checksums_ready + kGrowth - 1) * kChecksumsPerBlock;
      CSNAP_TRY(offline_->edit([&] { return state.checksums().prepare({there, 1}); }));
    }
    return {};
  }

  Status fill() {
    CSNAP_TRY(input_.rewind());
    CSNAP_ASSIGN(DumpReader reader, DumpReader::open(input_));
    bool tables = false;
    for (;;) {
      CSNAP_ASSIGN(const auto exception, reader.next());
      if (!tables) CSNAP_TRY(put_tables(reader));
      tables = true;
      if (!exception) break;
      if (const Status status = put(*exception); !status.ok()) return reader.at_line(status);
      tell("tree", reader.totals().exceptions, totals_.exceptions);
    }
    if (reader.fingerprint() == fingerprint_) return {};
    return Status(Code::stale, "the dump changed while it was read");
  }

  Status put_tables(const DumpReader& reader) {
    StoreState& state = offline_->state();
    state.snapshots() = reader.snapshots();
    state.clients() = reader.sessions();
    state.replication() = reader.replication();
    // Of another content, perhaps, streams may know the same names.
    if (!unchanged_) state.forget_identities();
    state.tables_changed();
    for (const ClientEntry& session : std::as_const(state).clients().all())
      for (const StoreRun& pool : session.pools)
        if (pool.count > 0) state.data().hold(pool);
    return {};
  }

  Status put(const DumpException& exception) {
    StoreState& state = offline_->state();
    const StoreRun run{exception.store, exception.chunks.count};
    return offline_->edit([&]() -> Status {
      CSNAP_TRY(state.tree().prepare(exception.chunks, ExceptionTree::Change::insert));
      if (!exception.lost()) {
        CSNAP_TRY(state.checksums().prepare(run));
        set_checksums(run.start, exception.crcs);
      }
      state.tree().insert(exception.chunks, exception.store, exception.mask);
      return {};
    });
  }

  // Those that there are: the table is new, the others are 0 in it.
  void set_checksums(StoreChunk start, std::span<const std::uint32_t> crcs) {
    for (std::size_t at = 0; at < crcs.size();) {
      if (crcs[at] == 0) {
        ++at;
        continue;
      }
      std::size_t end = at;
      while (end < crcs.size() && crcs[end] != 0) ++end;
      offline_->state().checksums().set({start + at, end - at}, crcs.subspan(at, end - at));
      at = end;
    }
  }

  Device& store_;
  Device* const separate_;
  Device& metadata_;
  DumpInput& input_;
  const RestoreOptions& options_;
  Superblock plan_;
  bool unchanged_ = false;  // since the dump was made
  ChunkSet used_;
  DumpTotals totals_;
  std::uint32_t fingerprint_ = 0;
  std::unique_ptr<OfflineStore> offline_;
};

}  // namespace

Result<Restored> restore_store(Device& store, Device* metadata, DumpInput& input,
                               const RestoreOptions& options) {
  return Restore(store, metadata, input, options).run();
}

Status check_dump(Device& store, Device* metadata, DumpInput& input) {
  return Restore(store, metadata, input, {}).judge();
}

}  // namespace csnap
