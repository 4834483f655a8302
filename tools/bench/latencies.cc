// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/latencies.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace csnap {

unsigned Latencies::bucket_of(std::uint64_t ns) {
  if (ns < (1u << kShift)) return static_cast<unsigned>(ns);
  const unsigned doubling = static_cast<unsigned>(std::bit_width(ns)) - kShift - 1;
  return (doubling << kShift) + static_cast<unsigned>(ns >> doubling);
}

std::uint64_t Latencies::end_of(unsigned bucket) {
  if (bucket < (2u << kShift)) return bucket;
  const unsigned doubling = (bucket >> kShift) - 1;
  const std::uint64_t start = std::uint64_t{bucket - (doubling << kShift)} << doubling;
  return start + (std::uint64_t{1} << doubling) - 1;
}

void Latencies::add(std::uint64_t ns) {
  ++buckets_[bucket_of(ns)];
  ++count_;
  sum_ += ns;
  max_ = std::max(max_, ns);
}

void Latencies::add(const Latencies& other) {
  for (unsigned i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

double Latencies::mean() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

std::uint64_t Latencies::at(double share) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (unsigned i = 0; i < kBuckets && count_ > 0; ++i) {
    seen += buckets_[i];
    if (seen >= std::max<std::uint64_t>(wanted, 1)) return std::min(end_of(i), max_);
  }
  return max_;
}

}  // namespace csnap
