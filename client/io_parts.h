// SPDX-License-Identifier: Apache-2.0
// Pieces of a volume that are read or written with one call. Included by csnap.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace csnap {

struct ReadPart {
  std::uint64_t offset = 0;  // bytes
  std::span<std::byte> data;
};
struct WritePart {
  std::uint64_t offset = 0;  // bytes
  std::span<const std::byte> data;
};

}  // namespace csnap
