// SPDX-License-Identifier: Apache-2.0
// The naive twin of a Space: one byte and one count per block, every question answered by looking
// at all of them.
#pragma once

#include <cassert>
#include <cstdint>
#include <vector>

#include "store/superblock.h"

namespace csnap {

class SpaceModel {
 public:
  SpaceModel(std::uint64_t blocks, std::uint64_t reserved, std::uint64_t per_chunk)
      : per_chunk_(per_chunk), used_(blocks), avoided_(blocks) {
    for (std::uint64_t b = 0; b < reserved; ++b) used_[b] = true;
  }

  std::uint64_t blocks() const { return used_.size(); }
  std::uint64_t chunks() const { return used_.size() / per_chunk_; }
  bool used(std::uint64_t block) const { return used_[block]; }
  unsigned avoided(std::uint64_t block) const { return avoided_[block]; }
  void set_used(std::uint64_t block, bool used) { used_[block] = used; }
  void avoid(std::uint64_t block) { ++avoided_[block]; }
  void unavoid(std::uint64_t block) {
    assert(avoided_[block] > 0);
    --avoided_[block];
  }

  bool takeable(std::uint64_t block) const { return !used_[block] && avoided_[block] == 0; }
  bool chunk_free(std::uint64_t chunk) const {
    for (std::uint64_t i = 0; i < per_chunk_; ++i)
      if (used_[chunk * per_chunk_ + i]) return false;
    return true;
  }
  bool chunk_takeable(std::uint64_t chunk) const {
    for (std::uint64_t i = 0; i < per_chunk_; ++i)
      if (!takeable(chunk * per_chunk_ + i)) return false;
    return true;
  }
  bool chunk_avoided(std::uint64_t chunk) const {
    for (std::uint64_t i = 0; i < per_chunk_; ++i)
      if (avoided_[chunk * per_chunk_ + i] > 0) return true;
    return false;
  }

  struct Counts {
    std::uint64_t free_blocks = 0, spare_blocks = 0, free_chunks = 0, takeable_chunks = 0;
  };
  Counts count() const {
    Counts c;
    for (std::uint64_t b = 0; b < blocks(); ++b) {
      c.free_blocks += !used_[b];
      c.spare_blocks += takeable(b);
    }
    for (std::uint64_t i = 0; i < chunks(); ++i) {
      c.free_chunks += chunk_free(i);
      c.takeable_chunks += chunk_takeable(i);
    }
    return c;
  }

 private:
  std::uint64_t per_chunk_;
  std::vector<bool> used_;
  std::vector<std::uint16_t> avoided_;
};

}  // namespace csnap
