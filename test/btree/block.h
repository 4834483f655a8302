// SPDX-License-Identifier: Apache-2.0
// A metadata block on its own, for editing without a cache.
#pragma once

#include <array>

#include "store/block_cache.h"

namespace csnap::test {

class Block {
 public:
  operator MutableBlock() { return bytes_; }
  operator ConstBlock() const { return bytes_; }
  ConstBlock bytes() const { return bytes_; }
  MutableBlock payload() { return MutableBlock(bytes_).subspan(sizeof(BlockHeader)); }
  bool operator==(const Block&) const = default;

 private:
  alignas(64) std::array<std::byte, kBlockSize> bytes_{};
};

}  // namespace csnap::test
