// SPDX-License-Identifier: Apache-2.0
// The engine: one deterministic state machine per store. It takes decoded requests, device
// completions (through the devices' poll()) and clock ticks, and gives device requests and replies.
// No socket, no thread, no clock, no randomness of its own: all are passed in.
//
// Threading: one thread. A reply callback runs from a call of request functions, of poll() or
// of tick(), never after close().
// A reply is a promise: what it grants is durable.
// Turns: submit any number of requests, then call end_turn() once: it starts the copies the
// requests asked for, neighbours merged, and the next commit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "server/live_check.h"
#include "store/device.h"
#include "store/status.h"
#include "store/store_use.h"
#include "store/superblock.h"
#include "store/tables.h"
#include "store/types.h"
#include "store/uuid.h"

namespace csnap {

using ClientKey = std::uint64_t;  // of an open client within one Engine; never reused
using ReadId = std::uint64_t;     // of an unfinished snapshot read; never used again
using CopyId = std::uint64_t;     // of a copy that a client is asked for; never used again

// Where one run of a snapshot read lies.
struct ReadPiece {
  ChunkRun chunks;
  bool on_origin = false;   // read the origin at the same place; locked until finish_read()
  StoreChunk store;         // else
  bool exclusive = false;   // this place is this snapshot's alone: the client may remember it
  bool rewritable = false;  // and it may write there without asking
  // In the store: the CRC-32C of each chunk's data, 0 where there is none. Empty: none has one.
  std::vector<std::uint32_t> crcs;
};
struct ReadGrant {
  ReadId id = 0;
  std::vector<ReadPiece> pieces;  // in order, covering the ranges asked for
  std::vector<ReadPiece> ahead;   // behind the last of them: exclusive ones, nothing locked
};
struct WritePiece {
  ChunkRun chunks;
  StoreChunk store;
  // The client may write there; only finish_write() makes it the snapshot's content. Not set: the
  // place is the snapshot's already and may be rewritten at any time, without asking again.
  bool provisional = false;
};
// A provisional write whose data is on the store device.
struct WrittenRun {
  ChunkRun chunks;
  StoreChunk store;
  std::vector<std::uint32_t> crcs;  // CRC-32C of each chunk's data
};

// A copy for a client to make.
struct CopyOrder {
  CopyId id = 0;
  bool from_origin = true;  // else from the store
  std::uint64_t from = 0;   // the first chunk there; nobody changes them until it is reported
  StoreRun to;              // of the client's pool; at most 1 MiB of data
  // From the store: of each chunk, the CRC-32C that it must have, 0 where it has none.
  std::vector<std::uint32_t> crcs;
};

struct SnapshotInfo {
  Snapshot snapshot;
  std::uint64_t clients = 0;  // sessions that have it open
};
struct LockInfo {
  Uuid client;
  SnapshotId volume;
  ReadId read = 0;
  ChunkRun chunks;
  std::uint64_t waiting_writers = 0;
};
struct ClientInfo {
  Uuid id;
  SnapshotId volume;
  bool resumed = true;  // false: known from before the restart, not heard of since
  bool read_only = false;
  std::uint64_t reads = 0;
  std::uint64_t provisional_chunks = 0;
};
struct EngineStatus {
  Superblock superblock;  // as of now
  Replication replication;
  std::uint64_t snapshots = 0, deleting = 0, clients = 0;
  std::uint64_t store_chunks = 0, free_chunks = 0, held_chunks = 0, exception_chunks = 0;
  std::uint64_t cache_blocks = 0, cache_capacity = 0, dirty_blocks = 0;
  std::uint64_t cache_hits = 0, cache_misses = 0;
  std::uint64_t journal_blocks = 0, journal_live_blocks = 0;
  std::uint64_t commits = 0, checkpoints = 0;
  std::uint64_t copied_chunks = 0, copied_by_clients = 0;  // by the engine itself, and not
  std::uint64_t origin_writes = 0, snapshot_reads = 0, snapshot_writes = 0;  // requests answered
  bool failed = false;  // the journal could not be written: nothing new is granted
  std::string failure;
};

// What the engine tells a client without being asked. The implementer (the session layer) may not
// call the engine back from inside these.
class EngineEvents {
 public:
  virtual ~EngineEvents() = default;
  // Drop the cache of unique chunks, finish writes under grants, then answer barrier_done().
  virtual void barrier_begin(ClientKey client, std::uint64_t barrier) = 0;
  virtual void barrier_end(ClientKey client, std::uint64_t barrier) = 0;
  // The volume is gone: drop everything, finish I/O, then answer evicted().
  virtual void evict(ClientKey client, const std::string& why) = 0;
  // Copy this, then answer copied(). Only to who has offered it.
  virtual void copy(ClientKey client, const CopyOrder& order) = 0;
  enum class Level : std::uint8_t { debug, info, warning, error };
  virtual void log(Level level, const std::string& text) = 0;
};

struct EngineOptions {
  std::size_t cache_bytes = 64u << 20;
  std::size_t copy_bytes = 32u << 20;        // memory for copies in flight
  std::uint64_t max_request_chunks = 65536;  // more in one request is invalid
  std::uint64_t max_held_runs = 65536;       // freed and not reusable yet: deletions wait then
  std::string holder;                        // written into the superblock
  std::uint64_t random_seed = 0;             // for UUIDs of snapshots
  // Monotonic microseconds. With it a commit may wait a little for more to join it, and long work
  // is spread over turns: see wants_turn_us().
  std::function<std::uint64_t()> clock_us = nullptr;
  std::uint64_t copy_patience_ms = 10'000;  // with a client that does not report a copy
};

struct EngineDevices {
  std::unique_ptr<Device> origin;
  std::unique_ptr<Device> store;
  std::unique_ptr<Device> metadata;  // null: on the store
};

class Engine {
 public:
  class Impl;  // its parts (engine_impl.h)

  // Reads the superblock, replays the journal, raises the epoch. Blocks. The devices are the
  // engine's from then on. events must outlive the engine.
  static Result<std::unique_ptr<Engine>> open(EngineDevices devices, EngineOptions options,
                                              EngineEvents& events);
  ~Engine();  // without close(): as if the power had failed, once the I/O in flight is done

  // -- turns -----------------------------------------------------------------------------------
  // Have a turn at that time at the latest: a commit waits for more to join it, or there was more
  // to do than one turn should take.
  std::optional<std::uint64_t> wants_turn_us() const;
  // Delivers completions of the devices; then does what end_turn() does. Returns completions.
  std::size_t poll();
  void end_turn();
  // Milliseconds of a clock that never goes back; wall_ns is the time of day for created stamps.
  void tick(std::uint64_t now_ms, std::uint64_t wall_ns);
  // To be watched for readability, then poll().
  std::vector<int> event_fds() const;
  // Nothing in flight, nothing parked, no deletion left to do, no checkpoint under way.
  bool idle() const;
  // Stops granting, finishes what is under way, checkpoints, marks the store clean. Requests
  // not yet answered end as unavailable. Blocks. Nothing may be called after it but the destructor.
  Status close();

  // -- clients ---------------------------------------------------------------------------------
  // Opens (or finds again) the session `id` on a volume; done(key) once that is durable. stale or
  // not_found when the snapshot is gone, no_space when there are too many sessions. Of the origin:
  // denied for who would write to a replica or into the middle of a receive, or receive into a
  // primary; busy while others write and one would receive, or the other way round.
  enum class Access : std::uint8_t { read, write, receive };
  using Opened = std::function<void(Result<ClientKey>)>;
  void open_client(const Uuid& id, SnapshotId volume, Access access, Opened done);
  // Read locks that a client held under a server before this one. Returns unavailable when it came
  // too late.
  Status upload_lock(ClientKey client, ReadId id, std::span<const ChunkRun> on_origin);
  // The client has nothing more from before the restart: no lock but those uploaded, no provisional
  // write in flight.
  void upload_done(ClientKey client);
  // The session is over, by its own word or because its lease ran out: its locks, pools and acks
  // owed go with it. Requests of it that were not answered never will be.
  void close_client(ClientKey client);
  // Sessions known from before a restart that have not been opened again. The owner calls
  // forget_client() for each when its lease has run out.
  std::vector<Uuid> absent_clients() const;
  void forget_client(const Uuid& id);

  // -- data path -------------------------------------------------------------------------------
  using Done = std::function<void(Status)>;
  using ReadDone = std::function<void(Result<ReadGrant>)>;
  using WriteDone = std::function<void(Result<std::vector<WritePiece>>)>;
  // ok: these chunks of the origin may be overwritten, until the next barrier.
  void origin_write(ClientKey client, std::vector<ChunkRun> ranges, Done done);
  // The same where it is granted without waiting for anything; false: it has to be asked in full.
  bool origin_write_at_once(ClientKey client, std::span<const ChunkRun> ranges);
  // ahead: so many chunks behind the last range, of which the client may remember places too.
  void snapshot_read(ClientKey client, std::vector<ChunkRun> ranges, ReadDone done,
                     std::uint64_t ahead = 0);
  void finish_read(ClientKey client, ReadId id);
  // overwrite: the caller will write every byte of these chunks.
  // Up to so many places of the client's pool, in a row, for chunks that it will name to
  // finish_write() itself; count 0 when there is none at hand or the store is too full for it.
  StoreRun spare_places(ClientKey client, std::uint64_t wanted);
  void snapshot_write(ClientKey client, std::vector<ChunkRun> ranges, bool overwrite,
                      WriteDone done);
  // ok: durable and visible. stale: (some of) the places are no longer the client's; nothing was
  // changed for those; write again from snapshot_write() on.
  void finish_write(ClientKey client, std::vector<WrittenRun> runs, Done done);
  void barrier_done(ClientKey client, std::uint64_t barrier);
  void evicted(ClientKey client);

  // -- copies by clients -----------------------------------------------------------------------
  // The client is connected and makes the copies that its requests need; what is not possible so,
  // the engine does itself. Of those it was asked for before, only these may not have ended.
  void offer_copies(ClientKey client, std::span<const CopyId> under_way);
  // It is not connected any more: what it was asked for is done here. Its places stay taken until
  // it reports, offers again or is closed.
  void withdraw_copies(ClientKey client);
  // Nothing of the copy is in flight any more: the CRC-32C of each chunk, or why it was not made.
  // invalid: not one for each chunk. Copies that are not the client's, or no more, are ignored.
  Status copied(ClientKey client, CopyId id, Result<std::vector<std::uint32_t>> crcs);

  // -- administration --------------------------------------------------------------------------
  using SnapshotDone = std::function<void(Result<Snapshot>)>;
  // receiver: the session that has received a stream into the origin; what it said last by
  // set_receiving() becomes the snapshot's identity, and nothing is unfinished any more. stale when
  // it is not open to receive, or that speaks of another name, or was undone. Without: busy while
  // the origin lies between two snapshots.
  void create_snapshot(const std::string& name, std::optional<Uuid> receiver, SnapshotDone done);
  // busy while a client has it open, unless force, which evicts. done: it is gone; its space
  // follows.
  void delete_snapshot(const std::string& name, bool force, Done done);
  void rename_snapshot(const std::string& from, const std::string& to, Done done);
  // done: its UUID and transid stand for its content, which is durable as they are (the origin and
  // the store are flushed), until somebody writes to it. busy while it was written to and somebody
  // may still be writing.
  void seal_snapshot(const std::string& name, SnapshotDone done);
  // busy while somebody writes the origin (replica) or receives into it (primary); invalid to make
  // a primary of what lies between two snapshots.
  void set_role(ReplicationRole role, Done done);
  // Where the session's receive stands; none: it is finished. stale when the session is not open to
  // receive, or the parent of a receive that begins is gone or was written to.
  void set_receiving(const Uuid& session, std::optional<UnfinishedReceive> receiving, Done done);
  // What is known of another server's copies. no_space when there are too many.
  void set_replica(const Replica& replica, Done done);
  void forget_replica(const Uuid& store, Done done);  // not_found
  std::vector<SnapshotInfo> list() const;             // live and deleting, by id
  Result<Snapshot> find_snapshot(const std::string& name) const;
  EngineStatus status() const;
  std::vector<LockInfo> locks() const;
  std::vector<ClientInfo> clients() const;
  // A page of the exception map from `from` on, at most `limit` lines: done(lines, next).
  struct DumpLine {
    ChunkRun chunks;
    StoreChunk store;
    ShareMask mask;
  };
  struct DumpPage {
    std::vector<DumpLine> lines;
    Chunk next;
    bool more = false;
  };
  void dump(Chunk from, std::size_t limit, std::function<void(Result<DumpPage>)> done);

  // A page of the tree as it is, of at least one leaf and as many more as take `limit` entries:
  // entries, and the blocks that begin there. One that is at the edge of a page may be in both.
  struct TreeBlock {
    BlockAddress block;
    unsigned level = 0;  // 0: a leaf
    ChunkRun keys;
    ShareMask mask = 0;
  };
  struct TreePage {
    std::vector<LeafEntry> entries;
    std::vector<TreeBlock> blocks;
    Chunk next;
    bool more = false;
  };
  void dump_tree(Chunk from, std::size_t limit, std::function<void(Result<TreePage>)> done);
  // What blocks of the store device are used for, from `from` on, as layout and bitmap say: at most
  // `limit` areas and a bounded number of blocks. out_of_range beyond the end.
  struct SpacePage {
    std::vector<StoreArea> areas;
    bool more = false;
  };
  void map_space(std::uint64_t from, std::size_t limit,
                 std::function<void(Result<SpacePage>)> done);

  // A check of the store beside everything else (live_check.h). begin: a new one, instead of any
  // that is under way; else the next step of the one with this id (stale: there is none). A step
  // does a bounded amount of work; who asks decides how fast they follow each other. A check not
  // asked for within a minute is given up.
  struct CheckRequest {
    bool begin = false;
    std::uint64_t id = 0;
    bool data = false;  // begin: compare the data of every chunk that has a checksum
  };
  struct CheckPage {
    std::uint64_t id = 0;
    bool done = false;
    double progress = 0;                // 0 to 1
    std::vector<LiveFinding> findings;  // of this step; a finish of the check makes no more
    std::uint64_t dropped = 0;          // findings of this step that were too many
    LiveCheck::Counters counters;       // since the beginning
  };
  void check(const CheckRequest& request, std::function<void(Result<CheckPage>)> done);

  const Uuid& store_uuid() const;
  Epoch epoch() const;
  std::uint64_t origin_size() const;  // bytes
  unsigned chunk_shift() const;

 private:
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace csnap
