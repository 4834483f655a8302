// SPDX-License-Identifier: Apache-2.0
// What the tree and its peer are both asked: exceptions of one chunk each, none of which joins
// another, at places that follow one another as the chunks' order does not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>

namespace csnap::bench {

// In the tree before anything is measured; set by --exceptions.
extern std::uint64_t exceptions;

inline constexpr std::size_t kBatch = 256;  // operations that are known at once

// Chunk i of a load in random order, all different: a permutation of 2^28 chunks (1 TiB).
constexpr std::uint64_t random_chunk(std::uint64_t i) {
  constexpr std::uint64_t kMask = (1ULL << 28) - 1;
  for (int round = 0; round < 2; ++round) {
    i = i * 0x9E3779B97F4A7C15ULL & kMask;
    i ^= i >> 15;
  }
  return i;
}

// The share mask of exception i: fifteen different ones, as four snapshots have.
constexpr std::uint64_t mask_of(std::uint64_t i) {
  return 1 + i / 7 % 15;
}

// Which of the exceptions are looked up, from one run to the next the same.
class Choices {
 public:
  std::uint64_t next() { return random_chunk(chosen_(random_) % exceptions); }

 private:
  std::mt19937_64 random_{1};
  std::uniform_int_distribution<std::uint64_t> chosen_;
};

// A table that is full, made once for all that measure something of it.
template <class Table, auto chunk_of>
Table& full() {
  static const auto table = [] {
    auto made = std::make_unique<Table>();
    while (made->size() < exceptions) made->insert_batch(chunk_of);
    return made;
  }();
  return *table;
}

}  // namespace csnap::bench
