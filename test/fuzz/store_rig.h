// SPDX-License-Identifier: Apache-2.0
// Small stores in memory for fuzz targets: made once in a process, copied for each input.
#pragma once

#include <memory>
#include <vector>

#include "store/memory_device.h"
#include "store/superblock.h"
#include "test/fuzz/target.h"

namespace csnap::fuzz {

inline constexpr std::uint64_t kOriginChunks = 256;
inline constexpr std::uint64_t kStoreSize = 8u << 20;

// The plan of a store of these sizes; its UUID is always the same.
Superblock plan(unsigned chunk_shift = kMinChunkShift, std::uint64_t metadata_size = 0);
// A new, empty store of plan().
std::shared_ptr<MemoryVolume> new_store();

// A sealed block goes to its place on the medium.
void put_block(MemoryVolume& volume, MutableBlock block, BlockKind kind, BlockAddress address,
               const Uuid& uuid, Sequence sequence = Sequence(1));

// Puts a whole commit of one or more blocks into the ring at `position`: checksums are made right.
// commit: its blocks, with everything but the BlockHeader and body_crc filled in.
void put_commit(MemoryVolume& volume, const Superblock& superblock, JournalPosition position,
                std::vector<std::byte>& commit);
// The blocks of a commit with these records and no images.
std::vector<std::byte> commit_of(std::span<const std::byte> records, Epoch epoch);

// As a server leaves a store that was new when it is killed: these are its commits, each the bytes
// of its records. Those that do not fit in front of the ring's end are left out.
std::shared_ptr<MemoryVolume> killed_store(const std::vector<std::vector<std::byte>>& commits);

// Everything that a recovered or checked store can be asked without a server.
void check_recovered(std::shared_ptr<MemoryVolume> volume);

}  // namespace csnap::fuzz
