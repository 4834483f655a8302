// SPDX-License-Identifier: Apache-2.0
// Memory for metadata blocks, one kBlockSize piece at a time, each aligned for the device. Pieces
// come out of large slabs: an aligned malloc of each would waste another block beside it. Slabs
// are kept until the pool goes, so its memory is that of the most blocks ever in use at once.
// Threading: one thread. Ownership: give back every piece before the pool goes, or forget it.
#pragma once

#include <cstddef>
#include <vector>

#include "store/aligned_buffer.h"
#include "store/types.h"

namespace csnap {

class BlockPool {
 public:
  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  // Content undefined.
  std::byte* take();
  void give_back(std::byte* block);
  std::size_t used() const { return used_; }

 private:
  // Small stores do with little memory; what is large is in huge pages.
  static constexpr std::size_t kSmallSlab = 64 * kBlockSize;
  static constexpr std::size_t kSmallSlabs = 8;
  std::vector<AlignedBuffer> slabs_;
  std::vector<std::byte*> free_;
  std::size_t used_ = 0;
};

}  // namespace csnap
