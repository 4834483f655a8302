// SPDX-License-Identifier: Apache-2.0
// Recognises readers that go through a volume in order, several at once, by where each would go on.
// Threading: none of its own.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "store/types.h"

namespace csnap {

class SequentialReaders {
 public:
  // Does a read of these chunks go on where an earlier one ended, or in the chunk that it ended in?
  bool expects(ChunkRun run) const {
    return std::any_of(next_.begin(), next_.end(), [&](Chunk next) {
      return next.value != 0 && run.start <= next && next <= run.end();
    });
  }
  // Such a read was answered: its reader asks again from `next` on, which may be further than its
  // end. Takes the place of the reader that it was, else of the one that has been there longest.
  void answered(ChunkRun run, Chunk next) {
    for (Chunk& known : next_)
      if (known.value != 0 && run.start <= known && known <= run.end()) {
        known = next;
        return;
      }
    next_[oldest_++ % next_.size()] = next;
  }

 private:
  std::array<Chunk, 8> next_{};  // 0: none
  std::size_t oldest_ = 0;
};

}  // namespace csnap
