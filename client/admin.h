// SPDX-License-Identifier: Apache-2.0
// Administration of a server: snapshots, status, locks, clients, the exception map. Included by
// csnap.h.
//
// Threading: any number of threads; calls block and go one after the other.
// Errors: what the server says; unavailable when it cannot be reached or does not answer in time.
// A call that only looks is tried once more on a new connection; one that changes something is not,
// and says so when it may have happened.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/replication.h"
#include "store/status.h"
#include "store/store_use.h"
#include "store/uuid.h"

namespace csnap {

struct AdminOptions {
  // `unix:PATH` or `HOST:PORT`, tried in order; empty: the default addresses of this machine.
  std::vector<std::string> addresses;
  std::string client_name;  // in the server's logs; empty: the program and its pid
  bool observer = false;    // only list() and status()
  std::chrono::milliseconds timeout{60'000};  // of a call; creating a snapshot waits for clients
};

class Admin {
 public:
  struct SnapshotEntry {
    std::uint64_t id = 0;  // never used again
    Uuid uuid;
    std::string name;
    std::uint64_t created_ns = 0;  // since 1970-01-01 00:00 UTC
    unsigned bit = 0;              // of the share masks
    bool deleting = false;         // gone for its users; its space is being given back
    std::uint64_t deleted_up_to = 0;
    std::uint64_t clients = 0;  // sessions that have it open
    // uuid and transid stand for its content in streams, unless it was written to since.
    std::uint64_t transid = 0;
    bool written = false;
    std::optional<StreamIdentity> received;  // as what a stream brought it, unless written to since
    std::string received_path;               // and what its file was called there
  };
  struct SnapshotList {
    std::vector<SnapshotEntry> snapshots;  // by id
    std::uint64_t volume_size = 0;         // bytes
    std::uint64_t chunk_size = 0;          // bytes
    Uuid store;
  };
  struct Device {
    std::string role;  // "origin", "store", "metadata"
    std::string path;
    std::uint64_t size = 0;  // bytes
    std::string identity;
  };
  struct StoreStatus {
    Uuid store;
    std::string label;
    std::uint64_t epoch = 0;
    std::uint64_t chunk_size = 0, origin_size = 0;  // bytes
    bool separate_metadata = false;
    std::vector<Device> devices;
    std::uint64_t store_chunks = 0, free_chunks = 0, held_chunks = 0, exception_chunks = 0;
    std::uint64_t tree_blocks = 0, tree_levels = 0;
    std::uint64_t snapshots = 0, deleting = 0, clients = 0, connections = 0;
    Uuid incarnation;
    std::string server_name;
    std::uint64_t uptime_ms = 0;
    bool failed = false;  // the journal cannot be written: nothing new is granted
    std::string failure;
    std::uint64_t cache_blocks = 0, cache_capacity = 0, dirty_blocks = 0;
    std::uint64_t cache_hits = 0, cache_misses = 0;
    std::uint64_t journal_blocks = 0, journal_live_blocks = 0;
    std::uint64_t commits = 0, checkpoints = 0;              // since the server's start
    std::uint64_t copied_chunks = 0, copied_by_clients = 0;  // by the server itself, and not
    std::uint64_t origin_writes = 0, snapshot_reads = 0, snapshot_writes = 0;
    Replication replication;
  };
  struct LockEntry {
    Uuid client;
    std::uint64_t volume = 0;  // id of the snapshot that is read
    std::uint64_t read_id = 0;
    std::uint64_t start = 0, count = 0;  // chunks of the origin
    std::uint64_t waiting_writers = 0;
  };
  struct ClientEntry {
    Uuid session;
    std::uint64_t volume = 0;  // id; 0: the origin
    std::string client_name;
    bool connected = false;
    bool resumed = false;  // false: known from before a restart, not heard of since
    std::uint64_t reads = 0, provisional_chunks = 0;
    std::uint64_t silent_ms = 0;
    bool read_only = false;
  };
  struct ExceptionLine {
    std::uint64_t start = 0, count = 0;  // chunks of the volumes
    std::uint64_t store_chunk = 0;       // where the first lies
    std::uint64_t mask = 0;              // bit b: the snapshot on bit b sees it
  };
  struct ExceptionPage {
    std::vector<ExceptionLine> lines;
    std::uint64_t next = 0;  // `from` of the next page
    bool more = false;
  };

  struct CheckFinding {
    bool damage = true;  // else a leak
    std::string what;
    std::uint64_t start = 0, count = 0;  // chunks of the volumes whose data this concerns
    std::uint64_t mask = 0;              // of the snapshots
  };
  struct CheckPage {
    std::uint64_t id = 0;
    bool done = false;
    double progress = 0;                 // 0 to 1
    std::vector<CheckFinding> findings;  // of this step
    std::uint64_t dropped = 0;           // that were too many to be sent
    // Since the beginning.
    std::uint64_t blocks = 0, exceptions = 0, lost = 0, data_chunks = 0, leaked = 0;
  };

  struct TreeBlock {
    std::uint64_t block = 0;             // of 4 KiB, on the metadata device
    unsigned level = 0;                  // 0: a leaf
    std::uint64_t start = 0, count = 0;  // chunks of the volumes that it is responsible for
    std::uint64_t mask = 0;              // of the snapshots that see something of it
  };
  struct TreePage {
    std::vector<ExceptionLine> entries;
    std::vector<TreeBlock> blocks;  // one may be on the next page again
    std::uint64_t next = 0;         // `from` of the next page
    bool more = false;
  };
  struct SpacePage {
    std::vector<StoreArea> areas;  // the first at `from`, each where the last ends
    bool more = false;
  };

  static Result<std::unique_ptr<Admin>> connect(const AdminOptions& options);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // receiver: the session that received a stream into the origin; see set_receiving().
  // busy: the origin lies between two snapshots, and it is not the receiver who asks.
  Result<SnapshotEntry> create(const std::string& name,
                               std::optional<Uuid> receiver = std::nullopt);
  // busy while somebody has it open, unless force.
  Status remove(const std::string& name, bool force);
  Status rename(const std::string& from, const std::string& to);
  // Its uuid and transid stand for its content from now on. busy while it was written to and is
  // open for writing.
  Result<SnapshotEntry> seal(const std::string& name);
  Result<SnapshotList> list();
  Result<StoreStatus> status();
  Result<std::vector<LockEntry>> locks();
  Result<std::vector<ClientEntry>> clients();
  // At most `limit` lines (0: as many as one answer holds) from chunk `from` on.
  Result<ExceptionPage> dump(std::uint64_t from, std::uint32_t limit);
  // Leaves of the exception tree as they are, from that of chunk `from` on.
  Result<TreePage> dump_tree(std::uint64_t from);
  // What blocks of the store device are used for, from `from` on.
  Result<SpacePage> map_space(std::uint64_t from);
  // busy: the origin is being written to, or received into.
  Status set_role(ReplicationRole role);
  // Where the receive of a session (Volume::session()) stands; none: it is finished. stale: it is
  // not open to receive, or the parent of a receive that begins is gone or was written to.
  Status set_receiving(const Uuid& session, const std::optional<UnfinishedReceive>& receiving);
  Status set_replica(const Replica& replica);
  Status forget_replica(const Uuid& store);
  // Checks the store while it serves, step by step: begin_check(), then next_check() until it is
  // done. The pace is the caller's.
  Result<CheckPage> begin_check(bool data);
  Result<CheckPage> next_check(std::uint64_t id);

 private:
  class Impl;
  Result<CheckPage> check(bool begin, std::uint64_t id, bool data);
  explicit Admin(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace csnap
