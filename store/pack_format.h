// SPDX-License-Identifier: Apache-2.0
// The bytes of a pack; see docs/format/pack.md. Constants and layout only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "store/endian.h"

namespace csnap {

inline constexpr char kPackMagic[17] = "csnap-metapack\r\n";
inline constexpr char kPackEndMagic[17] = "csnap-pack-end\r\n";
inline constexpr std::uint32_t kPackVersion = 1;
inline constexpr std::uint32_t kPackSeparate = 1;  // flag: the metadata has a device of its own
inline constexpr std::uint64_t kPackFrameBlocks = 256;  // at most in one frame
// More than 16 GiB of metadata need, however they are scattered; a reader holds the index in
// memory.
inline constexpr std::uint64_t kMaxPackIndex = 64u << 20;  // bytes

enum class PackSide : std::uint32_t {
  metadata = 0,  // the device with the metadata, which may be the store device
  store = 1,     // only when they are two
};

struct PackHeader {
  char magic[16];
  Le32 version;
  Le32 flags;
  std::uint8_t uuid[16];
  Le64 store_size;     // bytes of the devices
  Le64 metadata_size;  // 0: one device
  std::uint8_t reserved[4];
  Le32 crc;  // of all before it
};
static_assert(sizeof(PackHeader) == 64 && alignof(PackHeader) == 1);

// The index: frames, then runs; both in the order of the file.
struct PackFrame {
  Le64 offset;  // in the file
  Le32 length;  // compressed
  Le32 crc;     // CRC-32C of what it holds, uncompressed
  Le32 runs;    // blocks of so many runs are in it, one after the other
};
static_assert(sizeof(PackFrame) == 20 && alignof(PackFrame) == 1);

struct PackRun {
  Le64 block;
  Le32 blocks;
  Le32 side;
};
static_assert(sizeof(PackRun) == 16 && alignof(PackRun) == 1);

struct PackTrailer {
  Le64 index;  // offset in the file
  Le64 frames;
  Le64 runs;
  Le32 index_crc;
  std::uint8_t reserved[16];
  char magic[16];
  Le32 crc;  // of all before it
};
static_assert(sizeof(PackTrailer) == 64 && alignof(PackTrailer) == 1);

}  // namespace csnap
