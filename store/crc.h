// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli, RFC 3720 appendix B.4): initial value all ones, final inversion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace csnap {

std::uint32_t crc32c(std::span<const std::byte> data);
// Continues: crc32c(a + b) == crc32c_extend(crc32c(a), b).
std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> data);

// How the checksum of a chunk's data is kept and sent, where 0 stands for none.
constexpr std::uint32_t stored_checksum(std::uint32_t crc) {
  return crc == 0 ? 1 : crc;
}

}  // namespace csnap
