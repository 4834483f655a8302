// SPDX-License-Identifier: Apache-2.0
// The first 64 bytes of every metadata block; see docs/format/block.md. Constants and layout only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "store/endian.h"
#include "store/types.h"

namespace csnap {

// Four letters, so that a hex dump names the block.
constexpr std::uint32_t block_kind(const char (&text)[5]) {
  return static_cast<std::uint32_t>(static_cast<unsigned char>(text[0])) |
         static_cast<std::uint32_t>(static_cast<unsigned char>(text[1])) << 8 |
         static_cast<std::uint32_t>(static_cast<unsigned char>(text[2])) << 16 |
         static_cast<std::uint32_t>(static_cast<unsigned char>(text[3])) << 24;
}

enum class BlockKind : std::uint32_t {
  superblock = block_kind("CSsb"),
  data_label = block_kind("CSdl"),  // names the data device when metadata has a device of its own
  snapshots = block_kind("CSsn"),   // snapshot table
  clients = block_kind("CScl"),     // table of client sessions
  bitmap = block_kind("CSbm"),
  checksums = block_kind("CScs"),  // CRC-32C of each store chunk
  commit = block_kind("CSco"),     // first block of a commit in the journal
  leaf = block_kind("CSlf"),
  node = block_kind("CSnd"),
};

struct BlockHeader {
  Le32 kind;              // BlockKind
  Le32 crc;               // CRC-32C of the whole block with this field zero
  Le64 address;           // own address in blocks
  std::uint8_t uuid[16];  // of the store
  Le64 sequence;          // checkpoint (or commit) that wrote it
  std::uint8_t reserved[24];
};
static_assert(sizeof(BlockHeader) == 64 && alignof(BlockHeader) == 1);

inline constexpr std::size_t kBlockPayload = kBlockSize - sizeof(BlockHeader);  // 4032
static_assert(kBlockPayload == 4032);

}  // namespace csnap
