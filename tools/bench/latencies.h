// SPDX-License-Identifier: Apache-2.0
// How long things took: counts in buckets whose width grows with the value, 64 to each doubling, so
// that a percentile is at most 1.6 % too high. (As in Gil Tene's HdrHistogram.)
// Threading: none of its own. Memory: 30 KiB.
#pragma once

#include <array>
#include <cstdint>

namespace csnap {

class Latencies {
 public:
  void add(std::uint64_t ns);
  void add(const Latencies& other);
  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }
  double mean() const;  // nanoseconds; 0 when there are none
  // The upper end of the bucket below which that share of all lies: 0.5 is the median. Nanoseconds.
  std::uint64_t at(double share) const;

 private:
  static constexpr unsigned kShift = 6;  // sub-buckets to a doubling, as a power of two
  static constexpr unsigned kBuckets = (64 - kShift + 1) << kShift;
  static unsigned bucket_of(std::uint64_t ns);
  static std::uint64_t end_of(unsigned bucket);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace csnap
