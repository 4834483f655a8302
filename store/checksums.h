// SPDX-License-Identifier: Apache-2.0
// The table of data checksums: a CRC-32C for each store chunk, by its number from the first chunk
// that is not reserved. Zero means none: the
// chunk holds no exception, or a client may rewrite it in place (it is *mutable*). A checksum
// that happens to be zero is stored as one.
// Threading and misses as Space.
#pragma once

#include <cstdint>
#include <span>

#include "store/block_cache.h"
#include "store/superblock.h"

namespace csnap {

inline constexpr std::uint64_t kChecksumsPerBlock = kBlockPayload / 4;  // 1008

// Blocks of the table that a store needs.
inline std::uint64_t checksum_blocks_for(const Superblock& superblock) {
  const std::uint64_t chunks = superblock.store_chunks() - superblock.first_chunk().value;
  return (chunks + kChecksumsPerBlock - 1) / kChecksumsPerBlock;
}

class ChecksumTable {
 public:
  ChecksumTable(BlockCache& cache, Superblock& superblock);
  // Are the table's blocks of this run in memory (created if never written)? corrupt when the run
  // is not of chunks that can hold exceptions.
  Status prepare(StoreRun run);
  // need_block; 0 for none.
  Result<std::uint32_t> get(StoreChunk chunk);
  // REQUIRES: prepare(run) was ok and nothing was trimmed since; crcs.size() == run.count, none
  // zero.
  void set(StoreRun run, std::span<const std::uint32_t> crcs);
  void clear(StoreRun run);

 private:
  // The run by the table's own count, when all of it can hold exceptions.
  Result<std::uint64_t> first_index(StoreRun run) const;
  // Sets each checksum of the run to value(i), i counted from its start.
  template <class Value>
  void put(StoreRun run, Value value);

  BlockCache& cache_;
  Superblock& superblock_;
};

}  // namespace csnap
