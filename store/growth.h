// SPDX-License-Identifier: Apache-2.0
// Areas whose blocks are written only as far as they were ever needed: the bitmaps and the
// checksum table. `ready` blocks from the start exist; the others count as zero.
#pragma once

#include <cstdint>
#include <string>

#include "store/block_cache.h"

namespace csnap {

// Space is used in order, so a store grows its areas by a block at a time, or by a few when replay
// meets commits in another order than that of the allocations. A record that asks for much more is
// not one of ours; believing it would fill the memory with empty blocks.
inline constexpr std::uint64_t kMaxGrowth = 4096;

// Makes the blocks ready..wanted-1 in the cache, in order. corrupt for a jump that cannot be.
inline Status grow_area(BlockCache& cache, BlockKind kind, BlockAddress start, std::uint64_t& ready,
                        std::uint64_t wanted) {
  if (wanted > ready && wanted - ready > kMaxGrowth)
    return Status(Code::corrupt, std::string("a ") + kind_name(kind) + " block is needed " +
                                     std::to_string(wanted - ready) +
                                     " blocks beyond those in use");
  for (; ready < wanted; ++ready) cache.create(start + ready, kind);
  return {};
}

}  // namespace csnap
