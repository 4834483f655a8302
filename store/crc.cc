// SPDX-License-Identifier: Apache-2.0
#include "store/crc.h"

#include <isa-l/crc.h>

namespace csnap {

std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> data) {
  // The library takes an int length; a metadata block or a chunk of at most 1 MiB fits, longer
  // spans go in pieces. It does not change the bytes although its parameter is not const.
  constexpr std::size_t kPiece = 1u << 30;
  std::uint32_t state = ~crc;
  while (!data.empty()) {
    const std::size_t n = data.size() < kPiece ? data.size() : kPiece;
    auto* bytes = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(data.data()));
    state = crc32_iscsi(bytes, static_cast<int>(n), state);
    data = data.subspan(n);
  }
  return ~state;
}

std::uint32_t crc32c(std::span<const std::byte> data) {
  return crc32c_extend(0, data);
}

}  // namespace csnap
