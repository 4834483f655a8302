// SPDX-License-Identifier: Apache-2.0
// Chance, from one seed: the same numbers on every machine and with every library.
#pragma once

#include <cstdint>

namespace csnap::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  using result_type = std::uint64_t;
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : next() % n; }
  std::uint64_t between(std::uint64_t from, std::uint64_t to) {
    return from + below(to - from + 1);
  }
  bool chance(double p) { return p > 0 && static_cast<double>(next() >> 11) * 0x1p-53 < p; }
  Random fork() { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace csnap::sim
