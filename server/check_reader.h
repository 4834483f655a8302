// SPDX-License-Identifier: Apache-2.0
// Reads many metadata blocks with few large requests, several in flight. What is in memory, because
// replay changed it, is taken from there. Each block is verified as BlockCache does, but for its
// payload.
// Threading: the device's thread; blocks. REQUIRES: nothing else in flight on the device.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "store/aligned_buffer.h"
#include "store/block_cache.h"
#include "store/device.h"

namespace csnap {

class BlockReader {
 public:
  BlockReader(Device& device, BlockCache& cache, const Uuid& store);

  // i: which of the addresses. The block is valid until visit returns.
  using Visit = std::function<void(std::size_t i, const Result<ConstBlock>& block)>;
  // Visits the block at each address once, in any order. A block that cannot be read or is not what
  // it should be is a Status to visit. REQUIRES: addresses ascend and lie on the device; visit
  // changes nothing in the cache.
  void read(std::span<const BlockAddress> addresses, BlockKind kind, const Visit& visit) {
    read_kinds(addresses, {&kind, 1}, visit);
  }
  // Blocks of any of these kinds are right.
  void read_kinds(std::span<const BlockAddress> addresses, std::span<const BlockKind> kinds,
                  const Visit& visit);

 private:
  struct Piece {
    std::size_t first = 0, end = 0;  // of the addresses
    AlignedBuffer buffer;
    Status status;
  };
  void submit(Piece& piece, std::span<const BlockAddress> addresses);
  void deliver(const Piece& piece, std::span<const BlockAddress> addresses,
               std::span<const BlockKind> kinds, const Visit& visit);
  Result<ConstBlock> cached(BlockAddress address, std::span<const BlockKind> kinds);
  Status verify(ConstBlock block, BlockAddress address, std::span<const BlockKind> kinds) const;

  Device& device_;
  BlockCache& cache_;
  const Uuid store_;
  std::vector<Piece> pieces_;
  std::vector<Piece*> idle_, finished_;
};

}  // namespace csnap
