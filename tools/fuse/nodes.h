// SPDX-License-Identifier: Apache-2.0
// How the kernel names files and folders to us. A handle that somebody keeps holds such a node id
// and the generation, so both are made of what never changes: a snapshot's id, and the store's
// UUID. No table is needed, and what a handle names can be found after any restart. Pure.
#pragma once

#include <cstdint>

#include "store/uuid.h"

namespace csnap {

using NodeId = std::uint64_t;

inline constexpr NodeId kRootNode = 1;  // FUSE's
inline constexpr NodeId kSnapshotsNode = 2;
inline constexpr NodeId kByIdNode = 3;
inline constexpr NodeId kFirstVolumeNode = 16;  // of the origin, whose id is 0

constexpr bool is_volume(NodeId node) {
  return node >= kFirstVolumeNode;
}
constexpr bool is_folder(NodeId node) {
  return node >= kRootNode && node <= kByIdNode;
}
constexpr NodeId node_of(std::uint64_t volume) {
  return volume + kFirstVolumeNode;
}
// REQUIRES: is_volume(node).
constexpr std::uint64_t volume_of(NodeId node) {
  return node - kFirstVolumeNode;
}

// What stat says: a snapshot's id; beyond all ids for the others.
constexpr std::uint64_t inode_of(NodeId node) {
  constexpr std::uint64_t kBeyondIds = std::uint64_t{1} << 63;
  return node > kFirstVolumeNode ? volume_of(node) : kBeyondIds + node;
}

// Never 0; the kernel keeps 32 bits of it.
inline std::uint64_t generation_of(const Uuid& store) {
  std::uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : store.to_string()) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash == 0 ? 1 : hash;
}

}  // namespace csnap
