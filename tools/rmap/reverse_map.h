// SPDX-License-Identifier: Apache-2.0
// The exception map from the other side: what each chunk of a store is, in the order of the store.
//
// The tree is in the order of the volumes' chunks, so what it says is gathered and sorted. As much
// as the budget allows: when there is more, what lies furthest back is dropped, and the tree is
// gone through once more for it when all before is told. So memory is bounded whatever the store
// holds, and a store of up to kRmapEntries runs takes one pass. Threading: one thread. Errors: the
// source's and the sink's.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "store/status.h"
#include "store/store_use.h"
#include "store/types.h"

namespace csnap {

// Something that the tree knows the place of: a run of an exception, or a block of the tree itself.
struct Placed {
  std::uint64_t block = 0;  // of the store device, in 4 KiB
  std::uint64_t count = 1;  // chunks: of the exception; of the volumes below the tree's block
  StoreUse use = StoreUse::data;
  Chunk chunk;  // first of the volumes
  ShareMask mask = 0;
};

class RmapSource {
 public:
  virtual ~RmapSource() = default;
  using Visit = std::function<void(const Placed&)>;
  // All of them, in any order.
  virtual Status scan(const Visit& visit) = 0;
  // What the block is used for as layout and bitmap say, and how many after it are, too.
  virtual Result<StoreArea> area_at(std::uint64_t block) = 0;
  // What could not be reached, and is missing from what scan() told. For people; empty: nothing.
  virtual std::vector<std::string> damage() const { return {}; }
};

// Of the store, in chunks and as it is in blocks.
struct RmapGeometry {
  std::uint64_t chunk_size = 4096;  // bytes
  std::uint64_t store_chunks = 0;
  std::uint64_t volume_size = 0;  // bytes
  std::uint64_t blocks_per_chunk() const { return chunk_size / 4096; }
};

// Neighbouring chunks of the store: of one exception each at neighbouring places, or used alike.
struct RmapLine {
  StoreRun store;
  StoreUses uses = 0;  // data, or anything else
  Chunk chunk;         // data: of the first
  ShareMask mask = 0;  // data
  bool operator==(const RmapLine&) const = default;
};

// At once; of 24 bytes each, and once more while they are sorted: 480 MiB at most.
inline constexpr std::size_t kRmapEntries = std::size_t{10} << 20;

using RmapSink = std::function<Status(const RmapLine&)>;
// REQUIRES: the range lies within the store; entries >= 512, more than one chunk has blocks.
Status reverse_map(RmapSource& source, const RmapGeometry& geometry, StoreRun range,
                   const RmapSink& sink, std::size_t entries = kRmapEntries);

}  // namespace csnap
