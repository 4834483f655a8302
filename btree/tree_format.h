// SPDX-License-Identifier: Apache-2.0
// The bytes of the exception tree's blocks, after their BlockHeader; see docs/format/tree.md.
// Constants and layout only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "store/block_format.h"
#include "store/endian.h"
#include "store/types.h"

namespace csnap {

// -- leaf: head, entries growing up, dictionary of masks growing down from the block's end
// ----------
struct LeafHead {
  Le16 entries;
  Le16 masks;  // in the dictionary
  std::uint8_t reserved[4];
};
struct DiskLeafEntry {
  Le48 chunk;          // first logical chunk of the run
  Le48 store;          // first store chunk
  U8 length_less_one;  // a run is 1 to 256 chunks
  U8 mask;             // index into the dictionary: mask i ends 8 * i bytes before the block's end
};
static_assert(sizeof(LeafHead) == 8 && alignof(LeafHead) == 1);
static_assert(sizeof(DiskLeafEntry) == 14 && alignof(DiskLeafEntry) == 1);
static_assert(offsetof(DiskLeafEntry, store) == 6 && offsetof(DiskLeafEntry, mask) == 13);

inline constexpr unsigned kMaxRunLength = 256;
inline constexpr std::size_t kMaskSize = sizeof(Le64);
// Bytes that entries and dictionary share.
inline constexpr std::size_t kLeafRoom = kBlockPayload - sizeof(LeafHead);  // 4024
inline constexpr unsigned kMaxLeafEntries = (kLeafRoom - kMaskSize) / sizeof(DiskLeafEntry);
// Every mask is used by an entry at least, so the dictionary can never be longer than this, and
// this many entries fit whatever their masks are.
inline constexpr unsigned kMaxLeafMasks = kLeafRoom / (sizeof(DiskLeafEntry) + kMaskSize);
static_assert(kMaxLeafEntries == 286 && kMaxLeafMasks == 182);
static_assert(kMaxLeafMasks <= 256, "an index is one byte");

// -- node: head, entries --------------------------------------------------------------------------
struct NodeHead {
  Le16 entries;
  U8 level;  // 1: the children are leaves
  std::uint8_t reserved[5];
};
struct DiskNodeEntry {
  Le48 key;    // lower bound of the child; that of the first entry is not compared
  Le48 child;  // block address
  Le64 mask;   // OR of all masks below
};
static_assert(sizeof(NodeHead) == 8 && alignof(NodeHead) == 1);
static_assert(sizeof(DiskNodeEntry) == 20 && alignof(DiskNodeEntry) == 1);

inline constexpr unsigned kMaxNodeEntries =
    (kBlockPayload - sizeof(NodeHead)) / sizeof(DiskNodeEntry);
static_assert(kMaxNodeEntries == 201);

// Half-full nodes of 100 children: more levels than this would take more blocks than there can be.
inline constexpr unsigned kMaxTreeLevels = 10;

}  // namespace csnap
