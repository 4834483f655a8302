// SPDX-License-Identifier: Apache-2.0
// What a block of the store device is used for, and where the fixed areas lie. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace csnap {

struct Superblock;

// One bit each: a chunk of several blocks may hold several things.
enum class StoreUse : std::uint32_t {
  reserved = 1u << 0,  // never used for anything
  superblock = 1u << 1,
  data_label = 1u << 2,  // says whose data this is, when the metadata is elsewhere
  bitmap = 1u << 3,
  checksums = 1u << 4,
  snapshot_table = 1u << 5,
  client_table = 1u << 6,
  journal = 1u << 7,
  tree_node = 1u << 8,
  tree_leaf = 1u << 9,
  data = 1u << 10,      // of an exception
  pool = 1u << 11,      // free, and set aside for a client
  held = 1u << 12,      // free, but not to be had yet
  free = 1u << 13,      // to be had
  used = 1u << 14,      // by an exception or the tree: the bitmap does not know by which
  not_seen = 1u << 15,  // in use, but by nothing that was met
};
inline constexpr unsigned kStoreUses = 16;
using StoreUses = std::uint32_t;
constexpr StoreUses bit_of(StoreUse use) {
  return static_cast<StoreUses>(use);
}
// "superblock"; of several "superblock+journal".
std::string use_names(StoreUses uses);

// Blocks of the store device that are used alike.
struct StoreArea {
  std::uint64_t start = 0, count = 0;  // of 4 KiB
  StoreUse use = StoreUse::free;
  std::uint64_t end() const { return start + count; }
  bool operator==(const StoreArea&) const = default;
};
// The blocks before the first chunk that can hold an exception: all of them, ascending, neighbours
// different.
std::vector<StoreArea> fixed_areas(const Superblock& superblock);

}  // namespace csnap
