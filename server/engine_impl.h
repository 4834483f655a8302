// SPDX-License-Identifier: Apache-2.0
// The engine's parts and how they hang together. Only server/*.cc of the engine include this.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "journal/journal.h"
#include "server/barrier.h"
#include "server/busy_chunks.h"
#include "server/client_copies.h"
#include "server/client_state.h"
#include "server/committer.h"
#include "server/copier.h"
#include "server/deleter.h"
#include "server/engine.h"
#include "server/quarantine.h"
#include "server/read_locks.h"
#include "server/store_state.h"

namespace csnap {

class Engine::Impl {
 public:
  Impl(EngineDevices the_devices, EngineOptions the_options, EngineEvents& the_events);
  ~Impl();

  // What recovery found, made ready to serve.
  void start(std::unique_ptr<StoreState> the_state, std::unique_ptr<Journal> the_journal,
             std::vector<StoreRun> freed);

  // -- turns (engine.cc) ---------------------------------------------------------------------
  std::size_t poll();
  void end_turn();
  void run_ready();
  // Chunks of a durable commit.
  void keep_freed(std::vector<StoreRun> runs);
  // Would a checkpoint make space?
  bool checkpoint_frees() const;
  // Is there freed space that may be used again, and is not yet?
  bool has_released() const;
  // More freed runs than memory is meant for: deletions wait, and a checkpoint is asked for.
  bool holds_too_much() const { return state->data().held_runs() > options.max_held_runs; }
  void release_freed();
  void unhold_freed(std::size_t limit);  // runs
  bool quiet() const;                    // nothing under way but deletions
  Status close();

  // -- changes (changes.cc) ------------------------------------------------------------------
  // Bits that count for sharing: of live snapshots, and of those whose deletion is not durable yet.
  ShareMask active() const { return state->snapshots().active() | undead; }
  bool exclusive(const Exception& e, ShareMask bit) const { return (e.mask & active()) == bit; }
  using Build = std::function<Status(const Copied&, std::vector<Record>&)>;
  struct CopyWanted {
    ClientKey client = 0;  // whose request needs it
    ChunkRun run;
    bool from_origin = true;  // at the same place; otherwise from `from` on
    StoreChunk from;
  };
  // Makes the run busy, copies it, commits the records that build makes of it, and tells.
  // REQUIRES: the run is not busy.
  void copy_and_commit(const CopyWanted& wanted, Build build, std::function<void(Status)> done);
  void copy(const CopyWanted& wanted, bool by_client, Build build,
            std::function<void(Status)> finish);
  // The place of a copy is part of the tree now, or of no use.
  void release_place(const Copied& copied);
  // As copy_and_commit(), but the data stays where it is and is only compared with its checksums.
  void verify_and_commit(ChunkRun run, StoreChunk where,
                         std::function<Status(std::vector<Record>&)> build,
                         std::function<void(Status)> done);
  // As copy_and_commit() without a copy.
  void commit_busy(ChunkRun run, std::function<Status(std::vector<Record>&)> build,
                   std::function<void(Status)> done);
  void commit(Record record, std::function<void(Status)> done);
  void release_busy(ChunkRun run);
  void later(std::function<void()> what) { ready.push_back(std::move(what)); }
  void later(std::vector<std::function<void()>> what) {
    for (auto& f : what) ready.push_back(std::move(f));
  }
  void log(EngineEvents::Level level, const std::string& text) { events.log(level, text); }
  void log_full_store();
  static Status volume_deleted();

  // -- clients (clients.cc) ------------------------------------------------------------------
  ClientState* client(ClientKey key);
  struct Opening {
    std::vector<Opened> waiting;
    SnapshotId volume;
    Access access = Access::read;
    bool admitted = false;
  };
  void open_client(const Uuid& id, SnapshotId volume, Access access, Opened done);
  Status take_back(ClientState fresh, const Opened& done);
  void close_client(ClientKey key);
  void forget_client(const Uuid& id);
  void forget_entry(const Uuid& id);  // in the store's table
  void settle(ClientState& c);
  void settled_changed();
  void finish_read(ClientState& c, ReadId id);
  void recount_unsettled();
  // Sessions from before the restart that may still use this volume.
  bool unsettled_on(SnapshotId volume) const;
  bool open_on(SnapshotId volume) const;
  const Snapshot* live_volume(const ClientState& c) const;
  void add_op(ClientState& c, const std::shared_ptr<Op>& op);
  void remove_op(const std::shared_ptr<Op>& op, ClientKey key);

  // -- streams (replication.cc) --------------------------------------------------------------
  // May a session be opened so? resumed: it was open before a restart.
  Status admit(SnapshotId volume, Access access, bool resumed) const;
  // Is a session open so, or about to be?
  bool accessed(SnapshotId volume, Access access) const;
  bool receives(const Uuid& session) const;
  static Status not_receiving(const Uuid& session);
  // Is it what the origin is brought back to when the receive under way is given up?
  bool is_parent_of_receive(SnapshotId id) const;
  void mark_written(SnapshotId id, std::function<void(Status)> done);
  // What clients wrote to the origin and in place to the store is durable then.
  void flush_volumes(std::function<void(Status)> done);
  // change: makes the new state of the old one, or says why not.
  void change_replication(std::function<Status(Replication&)> change, Done done);

  // -- pools (pools.cc) ----------------------------------------------------------------------
  // Up to `wanted` chunks of the client's pools; count 0 when they are used up.
  StoreRun take_from_pool(ClientState& c, std::uint64_t wanted);
  // Handed out and finished (or given up).
  void finish_in_pool(ClientState& c, StoreRun run);
  bool in_pool(const ClientState& c, StoreRun run) const;
  // Sets more aside, for so many chunks that are needed now; resume when there is. unavailable: no
  // slot is free; no_space; need_block.
  Status grow_pool(ClientState& c, std::function<void()> resume, std::uint64_t at_once = 1);
  void pool_grown(ClientKey key, std::size_t slot, StoreRun run, const Status& status);
  // Gives back what was never handed out, for a store that is full. Returns whether there was any.
  bool reclaim_pools();

  EngineDevices devices;
  EngineOptions options;
  EngineEvents& events;
  std::unique_ptr<StoreState> state;
  std::unique_ptr<Journal> journal;
  std::unique_ptr<Committer> committer;
  std::unique_ptr<Copier> copier;
  std::unique_ptr<ClientCopies> client_copies;
  ReadLocks locks;
  BusyChunks busy;
  Quarantine quarantine;
  std::vector<std::function<void()>> space_waiters;  // for the checkpoint that lets go of chunks
  std::unique_ptr<Barrier> barrier;
  std::unique_ptr<Deleter> deleter;

  std::map<ClientKey, ClientState> clients;
  std::unordered_map<Uuid, ClientKey> clients_by_id;
  std::map<Uuid, SnapshotId> absent;  // in the store's table, not heard of since the restart
  std::unordered_map<Uuid, Opening> opening;
  bool readers_unsettled = false;  // a session of before the restart may hold read locks
  ClientKey next_client = 1;
  // Never given twice, also not by a server after this one: the end of a read may be told late.
  ReadId first_read = 1, next_read = 1;
  std::vector<std::function<void()>> settle_waiters;

  // -- checking (check_op.cc) ----------------------------------------------------------------
  void drop_stale_check();
  std::unique_ptr<LiveCheck> live_check;
  std::uint64_t check_id = 0;        // of live_check, or of the last one
  std::uint64_t check_asked_ms = 0;  // when its last step was asked for
  bool check_stepping = false;

  // Bits of snapshots that are written to, durably so: only to these may a place be called
  // rewritable.
  ShareMask written = 0;
  // Of each bit, the transid of the snapshot whose content was made durable under it last; no other
  // content is ever called so.
  std::array<std::uint64_t, kMaxSnapshots> flushed_transids{};
  ShareMask undead = 0;  // bits whose snapshot's deletion is not durable yet
  std::vector<std::function<void()>> undead_waiters;
  std::uint64_t changes = 0;     // under way: copies and units
  std::uint64_t generation = 0;  // grows with each snapshot created

  std::unordered_set<std::shared_ptr<Op>> admin_ops;
  std::deque<std::function<void()>> ready;
  bool running_ready = false;
  bool stopping = false;
  bool told_failure = false;
  std::uint64_t now_ms = 0, wall_ns = 0, told_full_ms = 0;
  bool told_full = false;
  std::uint64_t random_state = 0;
  std::uint64_t random();
  std::uint64_t origin_writes = 0, snapshot_reads = 0, snapshot_writes = 0;

  Device& metadata_device() { return devices.metadata ? *devices.metadata : *devices.store; }
  std::vector<Device*> all_devices();
};

}  // namespace csnap
