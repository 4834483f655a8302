// SPDX-License-Identifier: Apache-2.0
// What a store remembers of streams, as bytes, and the limits that they set.
// docs/format/tables.md has the bytes.
// Threading: any.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "store/replication.h"
#include "store/status.h"

namespace csnap {

inline constexpr std::size_t kMaxReceivedPath = 104;   // bytes
inline constexpr std::size_t kMaxReplicas = 4;         // of one store
inline constexpr std::size_t kMaxReplicaAddress = 95;  // bytes

// The name of the file that is the volume, in a stream: 1 to kMaxReceivedPath bytes of plain UTF-8.
Status check_stream_path(std::string_view path);
// The name of a replica's server: 1 to kMaxReplicaAddress bytes of plain UTF-8.
Status check_replica_address(std::string_view address);

Status too_many_replicas();  // no_space

// no_space with too many replicas, else invalid, with what is wrong.
Status check_replication(const Replication& replication);

// kReplicationBytes each. REQUIRES of encoding: check_replication() is ok. corrupt for bytes that
// encode_replication() cannot have written.
inline constexpr std::size_t kReplicationBytes = 752;
void encode_replication(const Replication& replication, std::span<std::byte> out);
Result<Replication> decode_replication(std::span<const std::byte> bytes);

}  // namespace csnap
