// SPDX-License-Identifier: Apache-2.0
// The bytes of a commit and of its records; see docs/format/journal.md. Constants and layout only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "store/block_format.h"
#include "store/endian.h"
#include "store/replication_format.h"
#include "store/types.h"

namespace csnap {

// -- a commit ------------------------------------------------------------------------------------

// Follows the BlockHeader of a commit's first block. Then come the records, then one Le64 home
// address an image, both going on into further blocks; zeros up to the end of a block; the images.
struct CommitHeader {
  Le64 epoch;
  Le64 checkpoint;  // sequence of the state that the images show; 0: no images
  Le32 record_bytes;
  Le32 images;
  Le32 blocks;    // of the whole commit, this one included
  Le32 body_crc;  // CRC-32C of all its blocks but the first, whose BlockHeader has its own
  U8 flags;
  std::uint8_t reserved[7];
};
static_assert(sizeof(CommitHeader) == 40 && alignof(CommitHeader) == 1);
static_assert(offsetof(CommitHeader, checkpoint) == 8);
static_assert(offsetof(CommitHeader, record_bytes) == 16);
static_assert(offsetof(CommitHeader, images) == 20);
static_assert(offsetof(CommitHeader, blocks) == 24);
static_assert(offsetof(CommitHeader, body_crc) == 28);
static_assert(offsetof(CommitHeader, flags) == 32);

inline constexpr std::uint8_t kCheckpointComplete = 1;  // CommitHeader::flags

// Where the records start in the first block.
inline constexpr std::size_t kCommitRecords = sizeof(BlockHeader) + sizeof(CommitHeader);
static_assert(kCommitRecords == 104);

// A commit is held in memory as a whole, when written and when found again: 64 MiB.
inline constexpr std::uint64_t kMaxCommitBlocks = 1u << 14;
// One block always stays unused, so that a full ring and an empty one differ.
inline constexpr std::uint64_t kMinRingBlocks = 2;

// -- records -------------------------------------------------------------------------------------

enum class RecordType : std::uint8_t {  // first byte of a record; 0 is none
  exception_added = 1,
  shares_cleared = 2,
  data_mutable = 3,
  snapshot_created = 4,
  snapshot_renamed = 5,
  snapshot_deleted = 6,
  deletion_progress = 7,
  deletion_finished = 8,
  client_opened = 9,
  client_closed = 10,
  client_pool = 11,
  server_started = 12,
  snapshot_written = 13,
  snapshot_sealed = 14,
  snapshot_received = 15,
  replication_changed = 16,
};

// A run that cannot be empty: its length is stored less one.
struct DiskRun {
  Le48 start;
  Le48 count_minus_1;
};
static_assert(sizeof(DiskRun) == 12);

// Does a run of `count` from `start` lie within the 48 bits of a chunk number?
constexpr bool run_fits(std::uint64_t start, std::uint64_t count) {
  return count <= kMaxChunks && start <= kMaxChunks - count;
}

struct DiskExceptionAdded {
  U8 type;
  U8 count_minus_1;
  Le48 chunk;
  Le48 store;
  Le64 mask;
  // Le32 crcs[count]
};
static_assert(sizeof(DiskExceptionAdded) == 22);

struct DiskSharesCleared {
  U8 type;
  DiskRun chunks;
  Le64 bits;
};
static_assert(sizeof(DiskSharesCleared) == 21);

struct DiskDataMutable {
  U8 type;
  DiskRun run;
};
static_assert(sizeof(DiskDataMutable) == 13);

struct DiskSnapshotCreated {
  U8 type;
  U8 bit;
  Le64 id;
  std::uint8_t uuid[16];
  Le64 created;
  U8 name_bytes;
  // char name[name_bytes]
};
static_assert(sizeof(DiskSnapshotCreated) == 35);

struct DiskSnapshotRenamed {
  U8 type;
  Le64 id;
  U8 name_bytes;
  // char name[name_bytes]
};
static_assert(sizeof(DiskSnapshotRenamed) == 10);

// SnapshotDeleted, DeletionFinished and SnapshotWritten.
struct DiskSnapshotOnly {
  U8 type;
  Le64 id;
};
static_assert(sizeof(DiskSnapshotOnly) == 9);

struct DiskDeletionProgress {
  U8 type;
  Le64 id;
  DiskRun chunks;
};
static_assert(sizeof(DiskDeletionProgress) == 21);

struct DiskClientOpened {
  U8 type;
  std::uint8_t id[16];
  Le64 volume;
};
static_assert(sizeof(DiskClientOpened) == 25);

struct DiskClientClosed {
  U8 type;
  std::uint8_t id[16];
};
static_assert(sizeof(DiskClientClosed) == 17);

struct DiskClientPool {
  U8 type;
  std::uint8_t id[16];
  U8 slot;
  Le48 start;
  Le48 count;  // as it is, since 0 has a meaning here
};
static_assert(sizeof(DiskClientPool) == 30);

struct DiskServerStarted {
  U8 type;
  Le64 epoch;
};
static_assert(sizeof(DiskServerStarted) == 9);

struct DiskSnapshotSealed {
  U8 type;
  Le64 id;
  Le64 transid;
};
static_assert(sizeof(DiskSnapshotSealed) == 17);

struct DiskSnapshotReceived {
  U8 type;
  Le64 id;
  IdentityDisk identity;
  U8 path_bytes;
  // char path[path_bytes]
};
static_assert(sizeof(DiskSnapshotReceived) == 34);

struct DiskReplicationChanged {
  U8 type;
  ReplicationDisk replication;
};
static_assert(sizeof(DiskReplicationChanged) == 753);

}  // namespace csnap
