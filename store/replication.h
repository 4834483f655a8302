// SPDX-License-Identifier: Apache-2.0
// What a store remembers of streams: how far a receive had come, whether the volume is a copy of
// another one, and which servers have copies of it. Changed by records, kept beside the tables.
// Threading: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/stream_identity.h"
#include "store/types.h"

namespace csnap {

enum class ReplicationRole : std::uint8_t {
  none,     // written to by clients, and received into while there are none
  primary,  // written to by clients; receives are refused
  replica,  // received into; clients may read only
};

// The origin lies between two snapshots: nobody else may write to it, unless it is undone.
struct UnfinishedReceive {
  std::string name;
  StreamIdentity identity;
  std::optional<StreamIdentity> parent;  // none: full
  SnapshotId parent_id;                  // here; kOrigin: none
  std::string path;                      // of the file, in the stream; empty: not known yet
  std::uint64_t offset = 0;              // bytes; all below it is there, durably
  bool resumable = false;
  // It was given up, and the origin is where it was before: it may be written to, and then this is
  // forgotten.
  bool undone = false;
  bool operator==(const UnfinishedReceive&) const = default;
};

// Another server that has copies of this store's snapshots.
struct Replica {
  Uuid store;
  std::string address;      // where it was reached
  SnapshotId snapshot;      // the newest of ours that it has
  std::uint64_t at_ns = 0;  // when that was known, nanoseconds since 1970-01-01 00:00 UTC
  bool operator==(const Replica&) const = default;
};

struct Replication {
  ReplicationRole role = ReplicationRole::none;
  std::optional<UnfinishedReceive> receiving;
  std::vector<Replica> replicas;  // each of another store
  bool operator==(const Replication&) const = default;
};

}  // namespace csnap
