// SPDX-License-Identifier: Apache-2.0
// Everything a store is, in memory: the state machine that the journal's records act on. Serving,
// replaying and checking all use this one; it neither knows clients nor starts I/O of its own.
//
// apply() is deterministic: the same state and record give the same state, which is why a journal
// of records is enough. It changes nothing when it cannot find a block (need_block): fetch it and
// call again.
// Threading: the engine's thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "btree/tree.h"
#include "journal/records.h"
#include "store/block_cache.h"
#include "store/checksums.h"
#include "store/space.h"
#include "store/superblock.h"
#include "store/tables.h"

namespace csnap {

// Told of what becomes part of a store and of what no longer is, as it happens.
class StoreWatcher {
 public:
  virtual ~StoreWatcher() = default;
  virtual void added(ChunkRun chunks, StoreRun store) = 0;
  virtual void freed(StoreRun store) = 0;
  virtual void tree_block_added(BlockAddress block) = 0;
  virtual void tree_block_freed(BlockAddress block) = 0;
};

class StoreState {
 public:
  // The tables are read from the cache or the disk. Blocks. faults: see SnapshotTable::decode().
  static Result<std::unique_ptr<StoreState>> load(const Superblock& superblock,
                                                  std::unique_ptr<BlockCache> cache,
                                                  std::vector<TableFault>* faults = nullptr);

  // Makes sure that records which must not be cut apart can be applied one after another, if
  // apply() follows before anything is trimmed: need_block, no_space, or a block that cannot be
  // read.
  Status prepare(const std::vector<Record>& records);
  // Asks the processor for what the first of these records are about, as ExceptionTree::warm().
  void warm(std::span<const Record> records) const;
  // Does what the record says. freed gets the store runs that nobody uses any more; they stay held
  // until the caller unholds them. no_space only when the tree cannot grow; then nothing changed.
  Status apply(const Record& record, std::vector<StoreRun>& freed);
  // Could this record have been written by a server in this state? corrupt if not. For records that
  // come from a disk; need_block as apply().
  Status validate(const Record& record);
  // Writes the tables into the cache where they changed: before a checkpoint.
  Status store_tables();
  // For those who change the tables themselves and not by records: they must be written.
  void tables_changed() { snapshots_changed_ = clients_changed_ = true; }

  // What snapshots are known as stood for their content as it was, and where a receive can be gone
  // on with for what the origin held: something of it may be another now, or what says that it was
  // written to. Returns whether there was any of that.
  bool forget_identities();

  void watch(StoreWatcher* watcher);  // null: nobody any more

  Superblock& superblock() { return superblock_; }
  const Superblock& superblock() const { return superblock_; }
  BlockCache& cache() { return *cache_; }
  const BlockCache& cache() const { return *cache_; }
  Space& data() { return data_; }
  const Space& data() const { return data_; }
  Space& metadata() { return metadata_ ? *metadata_ : data_; }
  ChecksumTable& checksums() { return checksums_; }
  ExceptionTree& tree() { return tree_; }
  SnapshotTable& snapshots() { return snapshots_; }
  const SnapshotTable& snapshots() const { return snapshots_; }
  Replication& replication() { return replication_; }
  const Replication& replication() const { return replication_; }
  ClientTable& clients() { return clients_; }
  const ClientTable& clients() const { return clients_; }

  // Runs a function until it no longer misses a block, reading those it misses. For start-up.
  template <class F>
  Status with_blocks(F&& function) {
    for (;;) {
      Status status = function();
      if (status.code() != Code::need_block) return status;
      CSNAP_TRY(cache_->fetch_sync(BlockAddress(status.detail())));
    }
  }

 private:
  StoreState(const Superblock& superblock, std::unique_ptr<BlockCache> cache);
  Status apply_one(const ExceptionAdded& r, std::vector<StoreRun>& freed);
  Status apply_one(const SharesCleared& r, std::vector<StoreRun>& freed);
  Status apply_one(const DataMutable& r, std::vector<StoreRun>& freed);
  Status apply_one(const SnapshotCreated& r, std::vector<StoreRun>& freed);
  Status apply_one(const SnapshotRenamed& r, std::vector<StoreRun>& freed);
  Status apply_one(const SnapshotDeleted& r, std::vector<StoreRun>& freed);
  Status apply_one(const DeletionProgress& r, std::vector<StoreRun>& freed);
  Status apply_one(const DeletionFinished& r, std::vector<StoreRun>& freed);
  Status apply_one(const ClientOpened& r, std::vector<StoreRun>& freed);
  Status apply_one(const ClientClosed& r, std::vector<StoreRun>& freed);
  Status apply_one(const ClientPool& r, std::vector<StoreRun>& freed);
  Status apply_one(const ServerStarted& r, std::vector<StoreRun>& freed);
  Status apply_one(const SnapshotWritten& r, std::vector<StoreRun>& freed);
  Status apply_one(const SnapshotSealed& r, std::vector<StoreRun>& freed);
  Status apply_one(const SnapshotReceived& r, std::vector<StoreRun>& freed);
  Status apply_one(const ReplicationChanged& r, std::vector<StoreRun>& freed);
  Status prepare_exception(const ExceptionAdded& r);
  Status prepare_clear(ChunkRun run, ShareMask bits);
  Status clear_shares(ChunkRun run, ShareMask bits, std::vector<StoreRun>& freed);
  Status validate_exception(const ExceptionAdded& r);
  Status check_store_run(StoreRun run, const char* what) const;
  Status check_chunk_run(ChunkRun run, const char* what) const;

  Superblock superblock_;
  std::unique_ptr<BlockCache> cache_;
  Space data_;
  std::optional<Space> metadata_;
  ChecksumTable checksums_;
  ExceptionTree tree_;
  SnapshotTable snapshots_;
  ClientTable clients_;
  Replication replication_;
  StoreWatcher* watcher_ = nullptr;
  bool snapshots_changed_ = false;
  bool clients_changed_ = false;
};

}  // namespace csnap
