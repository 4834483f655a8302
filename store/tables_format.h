// SPDX-License-Identifier: Apache-2.0
// The bytes of the snapshot table and of the client table; see docs/format/tables.md. Constants
// and layout only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "store/block_format.h"
#include "store/endian.h"
#include "store/replication_format.h"

namespace csnap {

// Flags.
inline constexpr std::uint8_t kSnapshotDeleting = 1;
inline constexpr std::uint8_t kSnapshotWritten = 2;
inline constexpr std::uint8_t kSnapshotReceived = 4;

// An entry whose id is 0 is unused; those in use come first, by ascending id.
struct SnapshotDisk {
  Le64 id;
  U8 uuid[16];
  Le64 created;
  Le64 deleted_up_to;
  U8 bit;
  U8 flags;
  U8 name_length;
  U8 zero[5];
  char name[64];
  Le64 transid;
  IdentityDisk received;
  U8 path_length;
  char path[104];
  U8 reserved[3];
};
static_assert(sizeof(SnapshotDisk) == 252 && alignof(SnapshotDisk) == 1);
static_assert(offsetof(SnapshotDisk, bit) == 40 && offsetof(SnapshotDisk, name) == 48);

inline constexpr std::size_t kSnapshotsPerBlock = kBlockPayload / sizeof(SnapshotDisk);
static_assert(kSnapshotsPerBlock * sizeof(SnapshotDisk) == kBlockPayload);
inline constexpr std::uint64_t kSnapshotBlocks = 64 / kSnapshotsPerBlock;
static_assert(kSnapshotBlocks == 4);

struct PoolDisk {
  Le48 start;
  Le32 count;
};

// An entry whose id is nil is unused; those in use come first, oldest first.
struct ClientDisk {
  U8 id[16];
  Le64 volume;
  PoolDisk pools[4];
  U8 reserved[32];
};
static_assert(sizeof(ClientDisk) == 96 && alignof(ClientDisk) == 1);
static_assert(offsetof(ClientDisk, pools) == 24);

inline constexpr std::size_t kClientsPerBlock = kBlockPayload / sizeof(ClientDisk);  // 42
static_assert(kClientsPerBlock * sizeof(ClientDisk) == kBlockPayload);
inline constexpr std::uint64_t kClientBlocks = 16;  // of a new store

}  // namespace csnap
