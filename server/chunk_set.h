// SPDX-License-Identifier: Apache-2.0
// A set of store chunks, one bit each. Memory that was never touched is not taken, so the set of a
// large store with little in it is small.
// Threading: one thread.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "store/bits.h"
#include "store/types.h"

namespace csnap {

class ChunkSet {
 public:
  ChunkSet() : ChunkSet(0) {}
  explicit ChunkSet(std::uint64_t chunks)
      : chunks_(chunks),
        words_(static_cast<std::uint64_t*>(std::calloc(chunks / 64 + 1, sizeof(std::uint64_t)))) {
    if (!words_) throw std::bad_alloc();
  }

  // REQUIRES of all: the run lies within the set.
  void insert(StoreRun run) {
    for_each_word(run.start.value, run.end().value,
                  [&](std::uint64_t w, std::uint64_t mask) { words_.get()[w] |= mask; });
  }
  void erase(StoreRun run) {
    for_each_word(run.start.value, run.end().value,
                  [&](std::uint64_t w, std::uint64_t mask) { words_.get()[w] &= ~mask; });
  }
  bool overlaps(StoreRun run) const {
    std::uint64_t found = 0;
    for_each_word(run.start.value, run.end().value,
                  [&](std::uint64_t w, std::uint64_t mask) { found |= words_.get()[w] & mask; });
    return found != 0;
  }
  bool contains(StoreChunk chunk) const {
    return words_.get()[chunk.value / 64] >> chunk.value % 64 & 1;
  }
  // First chunk in [from, to) that is in the set, or not; `to` when there is none.
  std::uint64_t find(std::uint64_t from, std::uint64_t to, bool value) const {
    return find_bit([&](std::uint64_t w) { return words_.get()[w]; }, from, to, value);
  }
  std::uint64_t size() const { return chunks_; }

 private:
  struct Free {
    void operator()(std::uint64_t* p) const { std::free(p); }
  };
  std::uint64_t chunks_;
  std::unique_ptr<std::uint64_t, Free> words_;
};

}  // namespace csnap
