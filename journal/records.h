// SPDX-License-Identifier: Apache-2.0
// What a commit says happened, one record each, small and logical. Applying a record is a pure
// function of the store's state and the record, the same while serving and while replaying.
// docs/format/journal.md has the bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "store/replication.h"
#include "store/status.h"
#include "store/tables.h"
#include "store/types.h"
#include "store/uuid.h"

namespace csnap {

inline constexpr std::uint64_t kMaxRecordRun = 256;  // chunks of one ExceptionAdded

// `count` chunks from `chunk` on are now found at `store` on, for the snapshots in `mask`.
struct ExceptionAdded {
  Chunk chunk;
  StoreChunk store;
  ShareMask mask = 0;
  std::vector<std::uint32_t> crcs;  // of the data, one a chunk (1 to kMaxRecordRun), none zero
  bool operator==(const ExceptionAdded&) const = default;
};
// The snapshots in `bits` no longer use the exceptions they had for these chunks. Store chunks
// that nobody uses any more become free.
struct SharesCleared {
  ChunkRun chunks;
  ShareMask bits = 0;
  bool operator==(const SharesCleared&) const = default;
};
// These chunks may be rewritten in place from now on: their checksums are void.
struct DataMutable {
  StoreRun run;
  bool operator==(const DataMutable&) const = default;
};
struct SnapshotCreated {
  SnapshotId id;
  Uuid uuid;
  std::string name;
  std::uint64_t created = 0;  // ns since 1970
  std::uint8_t bit = 0;
  bool operator==(const SnapshotCreated&) const = default;
};
struct SnapshotRenamed {
  SnapshotId id;
  std::string name;
  bool operator==(const SnapshotRenamed&) const = default;
};
// Gone for its users; its space comes back by DeletionProgress.
struct SnapshotDeleted {
  SnapshotId id;
  bool operator==(const SnapshotDeleted&) const = default;
};
// The snapshot's bit has been cleared from every exception of `chunks`; everything below
// chunks.end() is done.
struct DeletionProgress {
  SnapshotId id;
  ChunkRun chunks;
  bool operator==(const DeletionProgress&) const = default;
};
struct DeletionFinished {
  SnapshotId id;
  bool operator==(const DeletionFinished&) const = default;
};
struct ClientOpened {
  Uuid id;
  SnapshotId volume;
  bool operator==(const ClientOpened&) const = default;
};
struct ClientClosed {
  Uuid id;
  bool operator==(const ClientClosed&) const = default;
};
// Slot `slot` of the client's pools is now this run (count 0: given back).
struct ClientPool {
  Uuid id;
  std::uint8_t slot = 0;
  StoreRun run;
  bool operator==(const ClientPool&) const = default;
};
// A server took the store over: first record of each epoch. It also overwrites whatever commit a
// crash left half-done at the head of the journal.
struct ServerStarted {
  Epoch epoch;
  bool operator==(const ServerStarted&) const = default;
};
// It is no longer what its transid, and what it was received as, stand for.
struct SnapshotWritten {
  SnapshotId id;
  bool operator==(const SnapshotWritten&) const = default;
};
// From here on this transid stands for its content, until it is written to again.
struct SnapshotSealed {
  SnapshotId id;
  std::uint64_t transid = 0;
  bool operator==(const SnapshotSealed&) const = default;
};
struct SnapshotReceived {
  SnapshotId id;
  Snapshot::Received received;
  bool operator==(const SnapshotReceived&) const = default;
};
struct ReplicationChanged {
  Replication replication;
  bool operator==(const ReplicationChanged&) const = default;
};

using Record = std::variant<ExceptionAdded, SharesCleared, DataMutable, SnapshotCreated,
                            SnapshotRenamed, SnapshotDeleted, DeletionProgress, DeletionFinished,
                            ClientOpened, ClientClosed, ClientPool, ServerStarted, SnapshotWritten,
                            SnapshotSealed, SnapshotReceived, ReplicationChanged>;

// Appends the bytes of a record.
void encode_record(const Record& record, std::vector<std::byte>& out);
// Bytes encode_record() would append.
std::size_t encoded_size(const Record& record);
// Takes one record off the front of the span. corrupt for anything but a whole, sane record.
Result<Record> decode_record(std::span<const std::byte>& bytes);
// One line for people and dumps.
std::string to_string(const Record& record);

}  // namespace csnap
