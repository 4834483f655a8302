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

}  // namespace csnap
