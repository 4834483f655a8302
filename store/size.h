// SPDX-License-Identifier: Apache-2.0
// Sizes as people write them. Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "store/status.h"

namespace csnap {

// "4096", "64K", "1.5 GiB", "2TB". K, M, G, T, P, E, alone or followed by iB, are powers of 1024;
// KB, MB, ... are powers of 1000, as in the GNU tools; B or nothing is bytes. Upper or lower case.
// invalid when it is no size or is not a whole number of bytes; out_of_range from 2^64 on.
Result<std::uint64_t> parse_size(const std::string& text);

// With the largest unit that leaves at least 1: "512 B", "4 KiB", "1.5 GiB". One decimal at most,
// rounded down, so that what is said to fit does.
std::string format_size(std::uint64_t bytes);

}  // namespace csnap
