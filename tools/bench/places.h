// SPDX-License-Identifier: Apache-2.0
// Which chunks are asked for next. One for all connections of a load, so that a pattern goes
// through the volume once, however many there are. Threading: none of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "store/status.h"
#include "store/types.h"

namespace csnap {

enum class Pattern : std::uint8_t {
  uniform,     // anywhere, again and again
  zipfian,     // few places often: the k-th most asked for with a frequency of 1 / k^0.99
  sequential,  // from the start, over again at the end
  once,        // every place once, in an order that looks random
};
Result<Pattern> parse_pattern(const std::string& name);

class Places {
 public:
  // Runs of `range` chunks at multiples of `range`. REQUIRES: the volume has at least one.
  Places(Pattern pattern, std::uint64_t chunks, std::uint64_t range, std::uint64_t seed);
  // None: every place was named once.
  std::optional<ChunkRun> next();

 private:
  std::uint64_t zipfian();
  std::uint64_t permuted(std::uint64_t index) const;

  const Pattern pattern_;
  const std::uint64_t range_;
  const std::uint64_t places_;
  std::mt19937_64 random_;
  std::uint64_t at_ = 0;
  unsigned half_bits_ = 0;  // of the permutation
  std::uint64_t keys_[4] = {};
  double zeta_ = 0, eta_ = 0, alpha_ = 0;  // of the distribution
};

}  // namespace csnap
