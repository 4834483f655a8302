// SPDX-License-Identifier: Apache-2.0
// The twin of leaf and tree: the same events on a map, chunk by chunk.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "store/types.h"

namespace csnap::test {

class NaiveMap {
 public:
  using Stack = std::map<ShareMask, std::uint64_t>;  // mask -> store chunk
  using Content = std::map<std::uint64_t, Stack>;    // chunk -> stack, never empty

  void insert(ChunkRun run, StoreChunk store, ShareMask mask) {
    for (std::uint64_t i = 0; i < run.count; ++i)
      content_[run.start.value + i][mask] = store.value + i;
  }

  // The store chunks that became free.
  std::set<std::uint64_t> clear(ChunkRun run, ShareMask bits) {
    std::set<std::uint64_t> freed;
    auto it = content_.lower_bound(run.start.value);
    while (it != content_.end() && it->first < run.end().value) {
      Stack left;
      for (const auto& [mask, store] : it->second) {
        if (mask & ~bits)
          left[mask & ~bits] = store;
        else
          freed.insert(store);
      }
      it->second = left;
      it = left.empty() ? content_.erase(it) : std::next(it);
    }
    return freed;
  }

  ShareMask masks_in(ChunkRun run) const {
    ShareMask all = 0;
    for (auto it = content_.lower_bound(run.start.value);
         it != content_.end() && it->first < run.end().value; ++it)
      for (const auto& [mask, store] : it->second) all |= mask;
    return all;
  }

  const Stack& at(Chunk chunk) const {
    static const Stack kNone;
    const auto it = content_.find(chunk.value);
    return it == content_.end() ? kNone : it->second;
  }

  const Content& content() const { return content_; }
  std::uint64_t exceptions() const {
    std::uint64_t n = 0;
    for (const auto& [chunk, stack] : content_) n += stack.size();
    return n;
  }

 private:
  Content content_;
};

inline std::set<std::uint64_t> chunks_of(const std::vector<StoreRun>& runs) {
  std::set<std::uint64_t> chunks;
  for (const StoreRun& run : runs)
    for (std::uint64_t i = 0; i < run.count; ++i) chunks.insert(run.start.value + i);
  return chunks;
}

}  // namespace csnap::test
