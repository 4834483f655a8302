// SPDX-License-Identifier: Apache-2.0
// The two small tables of a store, held whole in memory: its snapshots and its clients' sessions;
// and behind the latter, what it remembers of streams.
// encode() writes a table's blocks into the cache (dirty if they changed) before a checkpoint;
// decode() reads them and blocks while it does. corrupt for whatever they could not have said.
// Pointers from find() are good until the table is changed.
// Threading: the engine's thread.
// docs/format/tables.md has the bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/block_cache.h"
#include "store/replication.h"
#include "store/status.h"
#include "store/superblock.h"
#include "store/types.h"
#include "store/uuid.h"

namespace csnap {

inline constexpr std::size_t kMaxSnapshotName = 64;  // bytes

// 1 to 64 bytes of UTF-8, no '/', no control character, not "." or "..", not "origin" (which names
// the origin wherever a snapshot can be named).
Status check_snapshot_name(std::string_view name);

// What is wrong with a block of a table; the entries of the others can be had all the same.
struct TableFault {
  BlockAddress block;
  BlockKind kind;
  std::string what;
};

struct Snapshot {
  SnapshotId id;
  Uuid uuid;
  std::string name;
  std::uint64_t created = 0;  // nanoseconds since 1970-01-01 00:00 UTC
  unsigned bit = 0;
  bool deleting = false;  // gone for everybody; its bit is being cleared from the tree
  Chunk deleted_up_to;    // deletion has cleared the bit below this chunk
  // uuid and transid stand for the content, as it was when it was created or sealed, unless it was
  // written to since.
  std::uint64_t transid = 0;  // not below id, below next_snapshot
  bool written = false;
  // It came with a stream, and is still what the stream said that it is.
  struct Received {
    StreamIdentity identity;
    std::string path;  // of the file in the stream
    bool operator==(const Received&) const = default;
  };
  std::optional<Received> received;
  bool operator==(const Snapshot&) const = default;
};

class SnapshotTable {
 public:
  const std::vector<Snapshot>& all() const { return snapshots_; }  // by id; deleting ones too
  ShareMask active() const;                                        // bits of the live ones
  ShareMask deleting() const;
  Snapshot* find(SnapshotId id);  // live or deleting
  Snapshot* find_live(std::string_view name);
  const Snapshot* find_live(SnapshotId id) const;
  const Snapshot* find_bit(unsigned bit) const;
  std::optional<unsigned> free_bit() const;  // lowest
  // exists (name or id or bit), invalid (name), no_space (64 already). A transid of 0 becomes the
  // id.
  Status add(Snapshot snapshot);
  Status rename(SnapshotId id, std::string_view name);
  // Of live ones; stale when it is none.
  Status set_received(SnapshotId id, Snapshot::Received received);
  Status set_written(SnapshotId id);  // it is no longer what it was received as
  Status seal(SnapshotId id, std::uint64_t transid);
  Status start_deletion(SnapshotId id);
  Status remove(SnapshotId id);  // its bit is free again

  Status encode(BlockCache& cache, const Superblock& superblock) const;
  // faults: where to say what is wrong; what cannot be read is left out then. An I/O error of a
  // block is such a fault.
  static Result<SnapshotTable> decode(BlockCache& cache, const Superblock& superblock,
                                      std::vector<TableFault>* faults = nullptr);
  bool operator==(const SnapshotTable&) const = default;

 private:
  Result<Snapshot*> get_live(SnapshotId id);

  std::vector<Snapshot> snapshots_;
};

// A session that may hold grants: its client must be heard of, or its lease run out, before what it
// may still be doing can be taken for finished; also after the server was restarted.
inline constexpr std::size_t kMaxPools = 4;
struct ClientEntry {
  Uuid id;            // of the session
  SnapshotId volume;  // kOrigin or a snapshot
  std::array<StoreRun, kMaxPools>
      pools{};  // free chunks set aside for its overwrites; count 0: none
  bool operator==(const ClientEntry&) const = default;
};

class ClientTable {
 public:
  // Entries that the store's table has room for.
  static std::size_t capacity_of(const Superblock& superblock);
  explicit ClientTable(std::size_t capacity) : capacity_(capacity) {}
  const std::vector<ClientEntry>& all() const { return clients_; }
  ClientEntry* find(const Uuid& id);
  // no_space when the table is full, exists.
  Status add(ClientEntry entry);
  Status remove(const Uuid& id);
  Status encode(BlockCache& cache, const Superblock& superblock) const;
  static Result<ClientTable> decode(BlockCache& cache, const Superblock& superblock,
                                    std::vector<TableFault>* faults = nullptr);

 private:
  std::size_t capacity_;
  std::vector<ClientEntry> clients_;
};

// The last block of the clients' area. Its fault, if it has one: nothing is remembered.
Status encode_replication(const Replication& replication, BlockCache& cache,
                          const Superblock& superblock);
Result<Replication> decode_replication(BlockCache& cache, const Superblock& superblock,
                                       std::vector<TableFault>* faults = nullptr);

}  // namespace csnap
