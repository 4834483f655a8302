// SPDX-License-Identifier: Apache-2.0
// The search of both leaf and node: where among n ascending keys a key belongs.
//
// A block that was not touched lately lies in memory, not in the processor's cache, and every probe
// of a binary search is a wait for another line of it. Keys of one block are often spread evenly,
// so the first probe is where the key would be if they were; from there the search closes in with
// growing steps. Where keys are not spread evenly this costs a few more probes, never more than
// twice the logarithm.
#pragma once

#include <algorithm>
#include <cstdint>

namespace csnap {

// Where among n > 0 keys, spread evenly between from and to, this one would be.
inline int guess_place(unsigned n, std::uint64_t key, std::uint64_t from, std::uint64_t to) {
  const double part = key <= from ? 0.0
                      : key >= to
                          ? 1.0
                          : static_cast<double>(key - from) / static_cast<double>(to - from);
  return std::min(static_cast<int>(part * n), static_cast<int>(n) - 1);
}

// First i in [0, n) with key_at(i) >= key, or n. The keys are expected between from and to.
template <class KeyAt>
unsigned first_not_below(unsigned n, std::uint64_t key, std::uint64_t from, std::uint64_t to,
                         KeyAt key_at) {
  if (n == 0) return 0;
  // Everything up to low is below the key, everything from high on is not.
  int low = -1, high = static_cast<int>(n);
  const int guess = guess_place(n, key, from, to);
  int step = 4;
  if (key_at(static_cast<unsigned>(guess)) < key) {
    low = guess;
    while (low + step < high && key_at(static_cast<unsigned>(low + step)) < key)
      low += step, step *= 2;
    high = std::min(high, low + step);
  } else {
    high = guess;
    while (low + step < high && key_at(static_cast<unsigned>(high - step)) >= key)
      high -= step, step *= 2;
    low = std::max(low, high - step);
  }
  while (high - low > 1) {
    const int middle = low + (high - low) / 2;
    // Chosen, not branched to: which way it goes cannot be foretold.
    const bool below = key_at(static_cast<unsigned>(middle)) < key;
    low = below ? middle : low;
    high = below ? high : middle;
  }
  return static_cast<unsigned>(high);
}

}  // namespace csnap
