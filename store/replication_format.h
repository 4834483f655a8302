// SPDX-License-Identifier: Apache-2.0
// The bytes of what a store remembers of streams; see docs/format/tables.md. Layout only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "store/endian.h"
#include "store/replication_codec.h"

namespace csnap {

struct IdentityDisk {
  U8 uuid[16];
  Le64 ctransid;
};
static_assert(sizeof(IdentityDisk) == 24 && alignof(IdentityDisk) == 1);

struct ReplicaDisk {
  U8 store[16];  // nil: unused
  Le64 snapshot;
  Le64 at;
  U8 address_length;
  char address[95];
};
static_assert(sizeof(ReplicaDisk) == 128 && alignof(ReplicaDisk) == 1);

// Flags.
inline constexpr std::uint8_t kReceiving = 1;
inline constexpr std::uint8_t kReceivingResumable = 2;
inline constexpr std::uint8_t kReceivingChange = 4;  // it has a parent
inline constexpr std::uint8_t kReceivingUndone = 8;
inline constexpr std::uint8_t kReceivingFlags = 15;

struct ReplicationDisk {
  U8 role;
  U8 flags;
  U8 name_length;
  U8 path_length;
  U8 zero[4];
  IdentityDisk identity;
  IdentityDisk parent;
  Le64 parent_id;
  Le64 offset;
  char name[64];
  char path[104];
  ReplicaDisk replicas[4];
};
static_assert(sizeof(ReplicationDisk) == kReplicationBytes && alignof(ReplicationDisk) == 1);
static_assert(sizeof(ReplicationDisk::path) == kMaxReceivedPath);
static_assert(sizeof(ReplicaDisk::address) == kMaxReplicaAddress);

void encode_identity(const StreamIdentity& identity, IdentityDisk& out);
StreamIdentity decode_identity(const IdentityDisk& disk);

}  // namespace csnap
