// SPDX-License-Identifier: Apache-2.0
// What of a store and its snapshots is hurt by sectors that cannot be read, as badblocks lists
// them. Threading: one thread. Errors: sentences for people.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "tools/rmap/reverse_map.h"

namespace csnap {

// Bytes of the store device, half-open.
struct ByteRange {
  std::uint64_t from = 0, to = 0;
  bool operator==(const ByteRange&) const = default;
};

// Block numbers, one a line, in blocks of so many bytes; ascending and joined. invalid, with the
// line, for anything else and for what lies beyond `size` bytes.
Result<std::vector<ByteRange>> read_bad_sectors(std::istream& in, std::uint64_t block_size,
                                                std::uint64_t size);

// A part of a bad range, and what it is.
struct Hurt {
  ByteRange store;
  StoreUse use = StoreUse::free;
  std::uint64_t volume = 0, length = 0;  // data: bytes of the volumes; length 0: beyond their end
  ChunkRun chunks;                       // a block of the tree: what cannot be found without it
  ShareMask mask = 0;
};
// All of them, ascending. One pass through the tree; memory: what is bad. REQUIRES: bad is what
// read_bad_sectors() makes.
Result<std::vector<Hurt>> find_hurt(RmapSource& source, const RmapGeometry& geometry,
                                    const std::vector<ByteRange>& bad);

}  // namespace csnap
