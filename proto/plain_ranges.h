// SPDX-License-Identifier: Apache-2.0
// Requests that are nothing but ranges, read from their bytes: the most frequent questions cost
// more to make messages of than to answer. The format is the same; what is unusual is left to
// protobuf. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "store/types.h"

namespace csnap {

// Field 1 of the body, repeated: a Range. out is replaced; nothing about the values is checked.
// false: there is something else in it, or it is broken.
bool plain_ranges(std::span<const std::byte> body, std::vector<ChunkRun>& out);

}  // namespace csnap
