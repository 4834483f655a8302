// SPDX-License-Identifier: Apache-2.0
#include "server/store_state.h"

#include <algorithm>

namespace csnap {
namespace {

// Tree blocks that one record may need, generously: a run of at most kMaxRecordRun chunks splits a
// few leaves and, rarely, the nodes above them.
constexpr std::uint64_t kBlocksForOne = 8;

Status bad_record(const std::string& what) {
  return Status(Code::corrupt, "a journal record does not fit the store: " + what);
}

}  // namespace

StoreState::StoreState(const Superblock& superblock, std::unique_ptr<BlockCache> cache)
    : superblock_(superblock),
      cache_(std::move(cache)),
      data_(*cache_, superblock_.data),
      checksums_(*cache_, superblock_),
      tree_(
          *cache_,
          superblock_.separate_metadata ? metadata_.emplace(*cache_, superblock_.metadata) : data_,
          superblock_),
      clients_(ClientTable::capacity_of(superblock)) {}

Result<std::unique_ptr<StoreState>> StoreState::load(const Superblock& superblock,
                                                     std::unique_ptr<BlockCache> cache,
                                                     std::vector<TableFault>* faults) {
  std::unique_ptr<StoreState> state(new StoreState(superblock, std::move(cache)));
  CSNAP_TRY(state->with_blocks([&]() -> Status {
    CSNAP_ASSIGN(state->snapshots_,
                 SnapshotTable::decode(state->cache(), state->superblock_, faults));
    CSNAP_ASSIGN(state->clients_, ClientTable::decode(state->cache(), state->superblock_, faults));
    CSNAP_ASSIGN(state->replication_,
                 decode_replication(state->cache(), state->superblock_, faults));
    return {};
  }));
  for (const auto& client : state->clients_.all())
    for (const auto& pool : client.pools)
      if (pool.count > 0) state->data_.hold(pool);
  return state;
}

void StoreState::watch(StoreWatcher* watcher) {
  watcher_ = watcher;
  if (watcher == nullptr) return tree_.watch({});
  tree_.watch([watcher](BlockAddress block, bool added) {
    if (added)
      watcher->tree_block_added(block);
    else
      watcher->tree_block_freed(block);
  });
}

Status StoreState::apply(const Record& record, std::vector<StoreRun>& freed) {
  return std::visit([&](const auto& r) { return apply_one(r, freed); }, record);
}

void StoreState::warm(std::span<const Record> records) const {
  std::vector<ChunkRun> runs;
  for (const auto& record : records) {
    if (const auto* added = std::get_if<ExceptionAdded>(&record))
      runs.push_back({added->chunk, added->crcs.size()});
    if (runs.size() == ExceptionTree::kWarmAtOnce) break;
  }
  tree_.warm(runs);
}

Status StoreState::prepare(const std::vector<Record>& records) {
  warm(records);
  for (const auto& record : records) {
    if (const auto* added = std::get_if<ExceptionAdded>(&record))
      CSNAP_TRY(prepare_exception(*added));
    else if (const auto* cleared = std::get_if<SharesCleared>(&record))
      CSNAP_TRY(prepare_clear(cleared->chunks, cleared->bits));
  }
  // What each needs for itself has been looked at; this is for all of them together.
  return metadata().ensure(kBlocksForOne * records.size());
}

Status StoreState::prepare_exception(const ExceptionAdded& r) {
  const StoreRun store{r.store, r.crcs.size()};
  CSNAP_TRY(data_.prepare(store));
  CSNAP_TRY(checksums_.prepare(store));
  return tree_.prepare({r.chunk, r.crcs.size()}, ExceptionTree::Change::insert);
}

Status StoreState::apply_one(const ExceptionAdded& r, std::vector<StoreRun>&) {
  const ChunkRun chunks{r.chunk, r.crcs.size()};
  const StoreRun store{r.store, r.crcs.size()};
  CSNAP_TRY(prepare_exception(r));
  CSNAP_TRY(data_.mark_used(store));
  checksums_.set(store, r.crcs);
  tree_.insert(chunks, r.store, r.mask);
  superblock_.exceptions += store.count;
  if (watcher_) watcher_->added(chunks, store);
  return {};
}

Status StoreState::apply_one(const SharesCleared& r, std::vector<StoreRun>& freed) {
  return clear_shares(r.chunks, r.bits, freed);
}

Status StoreState::prepare_clear(ChunkRun run, ShareMask bits) {
  // What will be freed must find its bitmap blocks in memory before anything changes.
  Mapping mapping;
  for (Chunk at = run.start; at < run.end(); at = mapping.chunks.end()) {
    CSNAP_TRY(tree_.lookup(at, run.end() - at, mapping));
    for (unsigned i = 0; i < mapping.count; ++i)
      if ((mapping.exceptions[i].mask & ~bits) == 0 && !is_lost(mapping.exceptions[i].store))
        CSNAP_TRY(data_.prepare({mapping.exceptions[i].store, mapping.chunks.count}));
  }
  return tree_.prepare(run, ExceptionTree::Change::clear);
}

Status StoreState::clear_shares(ChunkRun run, ShareMask bits, std::vector<StoreRun>& freed) {
  CSNAP_TRY(prepare_clear(run, bits));
  std::vector<StoreRun> gone;
  tree_.clear(run, bits, gone);
  for (const auto& store : gone) {
    if (is_lost(store.start)) continue;
    CSNAP_TRY(data_.mark_free(store));
    superblock_.exceptions -= store.count;
    freed.push_back(store);
    if (watcher_) watcher_->freed(store);
  }
  return {};
}

Status StoreState::apply_one(const DataMutable& r, std::vector<StoreRun>&) {
  CSNAP_TRY(checksums_.prepare(r.run));
  checksums_.clear(r.run);
  return {};
}

Status StoreState::apply_one(const SnapshotCreated& r, std::vector<StoreRun>&) {
  Snapshot snapshot;
  snapshot.id = r.id;
  snapshot.uuid = r.uuid;
  snapshot.name = r.name;
  snapshot.created = r.created;
  snapshot.bit = r.bit;
  CSNAP_TRY(snapshots_.add(std::move(snapshot)));
  superblock_.next_snapshot = std::max(superblock_.next_snapshot, r.id + 1);
  snapshots_changed_ = true;
  return {};
}

Status StoreState::apply_one(const SnapshotRenamed& r, std::vector<StoreRun>&) {
  snapshots_changed_ = true;
  return snapshots_.rename(r.id, r.name);
}

Status StoreState::apply_one(const SnapshotDeleted& r, std::vector<StoreRun>&) {
  snapshots_changed_ = true;
  return snapshots_.start_deletion(r.id);
}

Status StoreState::apply_one(const DeletionProgress& r, std::vector<StoreRun>& freed) {
  Snapshot* snapshot = snapshots_.find(r.id);
  if (!snapshot || !snapshot->deleting) return bad_record("progress of a deletion not begun");
  CSNAP_TRY(clear_shares(r.chunks, mask_of_bit(snapshot->bit), freed));
  snapshot->deleted_up_to = r.chunks.end();
  snapshots_changed_ = true;
  return {};
}

Status StoreState::apply_one(const DeletionFinished& r, std::vector<StoreRun>&) {
  snapshots_changed_ = true;
  return snapshots_.remove(r.id);
}

Status StoreState::apply_one(const ClientOpened& r, std::vector<StoreRun>&) {
  clients_changed_ = true;
  return clients_.add({r.id, r.volume, {}});
}

Status StoreState::apply_one(const ClientClosed& r, std::vector<StoreRun>&) {
  const ClientEntry* entry = clients_.find(r.id);
  if (!entry) return bad_record("the end of a session that was not open");
  for (const auto& pool : entry->pools)
    if (pool.count > 0) data_.unhold(pool);
  clients_changed_ = true;
  return clients_.remove(r.id);
}

Status StoreState::apply_one(const ClientPool& r, std::vector<StoreRun>&) {
  ClientEntry* entry = clients_.find(r.id);
  if (!entry || r.slot >= kMaxPools) return bad_record("a pool of a session that is not open");
  StoreRun& pool = entry->pools[r.slot];
  if (r.run.count > 0) data_.hold(r.run);
  if (pool.count > 0) data_.unhold(pool);
  pool = r.run;
  clients_changed_ = true;
  return {};
}

Status StoreState::apply_one(const ServerStarted& r, std::vector<StoreRun>&) {
  superblock_.epoch = std::max(superblock_.epoch, r.epoch);
  return {};
}

Status StoreState::apply_one(const SnapshotWritten& r, std::vector<StoreRun>&) {
  snapshots_changed_ = true;
  return snapshots_.set_written(r.id);
}

Status StoreState::apply_one(const SnapshotSealed& r, std::vector<StoreRun>&) {
  CSNAP_TRY(snapshots_.seal(r.id, r.transid));
  superblock_.next_snapshot = std::max(superblock_.next_snapshot, SnapshotId(r.transid + 1));
  snapshots_changed_ = true;
  return {};
}

Status StoreState::apply_one(const SnapshotReceived& r, std::vector<StoreRun>&) {
  snapshots_changed_ = true;
  return snapshots_.set_received(r.id, r.received);
}

Status StoreState::apply_one(const ReplicationChanged& r, std::vector<StoreRun>&) {
  replication_ = r.replication;
  clients_changed_ = true;
  return {};
}

Status StoreState::store_tables() {
  if (snapshots_changed_) CSNAP_TRY(snapshots_.encode(*cache_, superblock_));
  if (clients_changed_) {
    CSNAP_TRY(clients_.encode(*cache_, superblock_));
    CSNAP_TRY(encode_replication(replication_, *cache_, superblock_));
  }
  snapshots_changed_ = clients_changed_ = false;
  return {};
}

Status StoreState::check_store_run(StoreRun run, const char* what) const {
  const std::uint64_t first = (superblock_.data.reserved + superblock_.blocks_per_chunk() - 1) /
                              superblock_.blocks_per_chunk();
  if (run.count == 0 || run.count > superblock_.store_chunks() || run.start.value < first ||
      run.end().value > superblock_.store_chunks())
    return bad_record(std::string(what) + " lies outside the store's chunks");
  return {};
}

Status StoreState::check_chunk_run(ChunkRun run, const char* what) const {
  // A deletion's last range may reach to the end of all keys.
  if (run.count == 0 || run.start.value >= kMaxChunks || run.count > kMaxChunks - run.start.value)
    return bad_record(std::string(what) + " lies outside the volume");
  return {};
}

Status StoreState::validate_exception(const ExceptionAdded& r) {
  const ChunkRun chunks{r.chunk, r.crcs.size()};
  const StoreRun store{r.store, r.crcs.size()};
  CSNAP_TRY(check_chunk_run(chunks, "an exception"));
  CSNAP_TRY(check_store_run(store, "an exception"));
  if (chunks.end().value > superblock_.origin_chunks())
    return bad_record("an exception for a chunk beyond the origin");
  if (r.mask == 0 || (r.mask & ~snapshots_.active()) != 0)
    return bad_record("an exception for a snapshot that is not there");
  for (StoreChunk c = store.start; c < store.end(); ++c) {
    CSNAP_ASSIGN(const bool used, data_.is_used(c));
    if (used) return bad_record("an exception in a chunk that is in use");
  }
  Mapping mapping;
  for (Chunk at = chunks.start; at < chunks.end(); at = mapping.chunks.end()) {
    CSNAP_TRY(tree_.lookup(at, chunks.end() - at, mapping));
    if (mapping.shared & r.mask) return bad_record("a second exception for the same snapshot");
  }
  return {};
}

Status StoreState::validate(const Record& record) {
  if (const auto* r = std::get_if<ExceptionAdded>(&record)) return validate_exception(*r);
  if (const auto* r = std::get_if<SharesCleared>(&record))
    return check_chunk_run(r->chunks, "a range");
  if (const auto* r = std::get_if<DeletionProgress>(&record))
    return check_chunk_run(r->chunks, "a range");
  if (const auto* r = std::get_if<DataMutable>(&record)) return check_store_run(r->run, "a run");
  if (const auto* r = std::get_if<ClientPool>(&record))
    return r->run.count == 0 ? Status() : check_store_run(r->run, "a pool");
  if (const auto* r = std::get_if<SnapshotCreated>(&record))
    if (r->id < superblock_.next_snapshot) return bad_record("a snapshot id used before");
  if (const auto* r = std::get_if<SnapshotSealed>(&record))
    if (r->transid < superblock_.next_snapshot.value || r->transid == UINT64_MAX)
      return bad_record("a transid used before");
  return {};
}

bool StoreState::forget_identities() {
  bool any = false;
  std::vector<SnapshotId> live;
  for (const Snapshot& snapshot : std::as_const(*this).snapshots().all())
    if (!snapshot.deleting) live.push_back(snapshot.id);
  for (const SnapshotId id : live) any |= snapshots().set_written(id).ok();
  if (auto& receiving = replication_.receiving) any |= std::exchange(receiving->resumable, false);
  tables_changed();
  return any;
}

}  // namespace csnap
