// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/places.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace csnap {
namespace {

constexpr double kSkew = 0.99;  // of YCSB

// The finalizer of SplitMix64.
std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Result<Pattern> parse_pattern(const std::string& name) {
  if (name == "uniform") return Pattern::uniform;
  if (name == "zipfian") return Pattern::zipfian;
  if (name == "sequential") return Pattern::sequential;
  if (name == "once") return Pattern::once;
  return Status(Code::invalid,
                "'" + name + "' is no pattern: uniform, zipfian, sequential or once");
}

Places::Places(Pattern pattern, std::uint64_t chunks, std::uint64_t range, std::uint64_t seed)
    : pattern_(pattern), range_(range), places_(chunks / range), random_(seed) {
  half_bits_ = (static_cast<unsigned>(std::bit_width(places_ - 1)) + 1) / 2;
  half_bits_ = std::max(half_bits_, 1u);
  for (auto& key : keys_) key = random_();
  if (pattern != Pattern::zipfian) return;
  for (std::uint64_t i = 1; i <= places_; ++i) zeta_ += 1 / std::pow(static_cast<double>(i), kSkew);
  const double zeta2 = 1 + 1 / std::pow(2.0, kSkew);
  alpha_ = 1 / (1 - kSkew);
  eta_ = (1 - std::pow(2.0 / static_cast<double>(places_), 1 - kSkew)) / (1 - zeta2 / zeta_);
}

// Gray and others, "Quickly generating billion-record synthetic databases", 1994.
std::uint64_t Places::zipfian() {
  const double u = std::uniform_real_distribution<double>()(random_);
  const double uz = u * zeta_;
  std::uint64_t rank = 0;
  if (uz >= 1)
    rank = uz < 1 + std::pow(0.5, kSkew)
               ? 1
               : static_cast<std::uint64_t>(static_cast<double>(places_) *
                                            std::pow(eta_ * u - eta_ + 1, alpha_));
  return permuted(std::min(rank, places_ - 1));
}

// A Feistel network over the next even number of bits; what falls beyond the end goes round again.
std::uint64_t Places::permuted(std::uint64_t index) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  do {
    std::uint64_t left = index >> half_bits_, right = index & mask;
    for (const std::uint64_t key : keys_) {
      const std::uint64_t next = left ^ (mix(right + key) & mask);
      left = right;
      right = next;
    }
    index = left << half_bits_ | right;
  } while (index >= places_);
  return index;
}

std::optional<ChunkRun> Places::next() {
  std::uint64_t place = 0;
  switch (pattern_) {
    case Pattern::uniform:
      place = random_() % places_;
      break;
    case Pattern::zipfian:
      place = zipfian();
      break;
    case Pattern::sequential:
      place = at_++ % places_;
      break;
    case Pattern::once:
      if (at_ == places_) return std::nullopt;
      place = permuted(at_++);
      break;
  }
  return ChunkRun{Chunk(place * range_), range_};
}

}  // namespace csnap
