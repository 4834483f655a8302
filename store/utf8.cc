// SPDX-License-Identifier: Apache-2.0
#include "store/utf8.h"

#include <cstddef>
#include <cstdint>

namespace csnap {
namespace {

// How many bytes follow this first byte, and the least code point that may be written so.
struct Lead {
  unsigned following;
  std::uint32_t least;
  std::uint32_t bits;
};

bool read_lead(unsigned char c, Lead& lead) {
  if (c < 0x80) return lead = {0, 0, c}, true;
  if (c >= 0xc2 && c < 0xe0) return lead = {1, 0x80, c & 0x1fu}, true;
  if (c >= 0xe0 && c < 0xf0) return lead = {2, 0x800, c & 0x0fu}, true;
  if (c >= 0xf0 && c < 0xf5) return lead = {3, 0x10000, c & 0x07u}, true;
  return false;
}

bool may_be_shown(std::uint32_t point) {
  const bool control = point < 0x20 || (point >= 0x7f && point < 0xa0);
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  return !control && !surrogate && point <= 0x10ffff;
}

}  // namespace

bool is_plain_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    Lead lead{};
    if (!read_lead(static_cast<unsigned char>(text[i++]), lead)) return false;
    std::uint32_t point = lead.bits;
    for (unsigned n = 0; n < lead.following; ++n) {
      if (i == text.size()) return false;
      const auto c = static_cast<unsigned char>(text[i++]);
      if ((c & 0xc0) != 0x80) return false;
      point = point << 6 | (c & 0x3fu);
    }
    if (point < lead.least || !may_be_shown(point)) return false;
  }
  return true;
}

}  // namespace csnap
