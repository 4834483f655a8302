// SPDX-License-Identifier: Apache-2.0
// The bytes of the superblock and of the data label; see docs/format/superblock.md. Constants and
// layout only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "store/block_format.h"
#include "store/endian.h"

namespace csnap {

// For people with a hex dump and for tools that look for signatures: at byte 4160 of the device.
inline constexpr char kSuperblockMagic[17] = "csnap snap store";

// Flags.
inline constexpr std::uint32_t kSuperblockClean = 1;
inline constexpr std::uint32_t kSuperblockRepairing = 2;

// Incompatible features: a build that does not know one must not touch the store. The names of
// those in use are stored too, so that an older build can say what it lacks.
inline constexpr std::uint64_t kFeatureSeparateMetadata = 1ULL << 0;
// Metadata alone, as csnap-check --repair --to leaves it: the data is somewhere else.
inline constexpr std::uint64_t kFeatureMetadataCopy = 1ULL << 1;
inline constexpr std::size_t kFeatureName = 32;  // bytes, padded with zeros
struct FeatureName {
  std::uint64_t bit;
  const char* name;
};
inline constexpr std::array<FeatureName, 2> kIncompatibleFeatures{{
    {kFeatureSeparateMetadata, "separate-metadata"},
    {kFeatureMetadataCopy, "metadata-copy"},
}};

struct SpaceDisk {
  Le64 blocks;
  Le64 bitmap;
  Le64 bitmap_blocks;
  Le64 bitmap_ready;
  Le64 reserved;
  Le64 free_blocks;
  Le64 free_chunks;
  Le64 cursor;
  U8 chunk_shift;
  U8 zero[7];
};
static_assert(sizeof(SpaceDisk) == 72 && alignof(SpaceDisk) == 1);

struct AreaDisk {
  Le64 start;
  Le64 blocks;
};
static_assert(sizeof(AreaDisk) == 16);

struct SuperblockDisk {
  BlockHeader header;
  char magic[16];
  Le32 version;
  Le32 flags;
  Le64 compatible;
  Le64 incompatible;
  Le64 epoch;
  Le64 origin_size;
  U8 chunk_shift;
  U8 label_length;
  U8 holder_length;
  U8 zero;
  Le32 tree_levels;
  SpaceDisk data;
  SpaceDisk metadata;
  AreaDisk checksums;
  Le64 checksums_ready;
  AreaDisk snapshots;
  AreaDisk clients;
  AreaDisk journal;
  Le64 tree_root;
  Le64 tree_blocks;
  Le64 exceptions;
  Le64 next_snapshot;
  Le64 checkpoint;
  Le64 tail_block;
  Le64 tail_sequence;
  Le64 reign;
  char holder[104];
  // What follows never changes: so a disk that writes sectors of 512 bytes whole does not tear it.
  char label[64];
  char feature_names[64][kFeatureName];  // by bit of `incompatible`
  U8 reserved[1472];
};
static_assert(alignof(SuperblockDisk) == 1 && sizeof(SuperblockDisk) == kBlockSize);
static_assert(offsetof(SuperblockDisk, magic) == 64);
static_assert(offsetof(SuperblockDisk, version) == 80);
static_assert(offsetof(SuperblockDisk, incompatible) == 96);
static_assert(offsetof(SuperblockDisk, chunk_shift) == 120);
static_assert(offsetof(SuperblockDisk, data) == 128);
static_assert(offsetof(SuperblockDisk, metadata) == 200);
static_assert(offsetof(SuperblockDisk, checksums) == 272);
static_assert(offsetof(SuperblockDisk, snapshots) == 296);
static_assert(offsetof(SuperblockDisk, journal) == 328);
static_assert(offsetof(SuperblockDisk, tree_root) == 344);
static_assert(offsetof(SuperblockDisk, tail_sequence) == 392);
static_assert(offsetof(SuperblockDisk, reign) == 400);
static_assert(offsetof(SuperblockDisk, holder) == 408);
static_assert(offsetof(SuperblockDisk, label) == 512);
static_assert(offsetof(SuperblockDisk, feature_names) == 576);
static_assert(offsetof(SuperblockDisk, reserved) == 2624);

// On a data device whose metadata lies elsewhere. The store's UUID is in the header.
struct DataLabelDisk {
  BlockHeader header;
  char magic[16];
  Le32 version;
  Le32 chunk_shift;
  Le64 blocks;  // that the store uses of this device
  char label[64];
  U8 reserved[3936];
};
static_assert(alignof(DataLabelDisk) == 1 && sizeof(DataLabelDisk) == kBlockSize);

}  // namespace csnap
