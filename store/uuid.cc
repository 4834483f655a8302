// SPDX-License-Identifier: Apache-2.0
#include "store/uuid.h"

namespace csnap {
namespace {

constexpr bool dash_before(std::size_t byte) {
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string Uuid::to_string() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (dash_before(i)) text += '-';
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

Result<Uuid> Uuid::parse(std::string_view text) {
  const Status bad(Code::invalid, "'" + std::string(text) + "' is not a UUID");
  Uuid u;
  if (text.size() != 36) return bad;
  std::size_t at = 0;
  for (std::size_t i = 0; i < u.bytes.size(); ++i) {
    if (dash_before(i) && text[at++] != '-') return bad;
    const int high = hex_digit(text[at]);
    const int low = hex_digit(text[at + 1]);
    if (high < 0 || low < 0) return bad;
    u.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    at += 2;
  }
  return u;
}

Uuid Uuid::from_random(std::uint64_t high, std::uint64_t low) {
  Uuid u;
  for (int i = 0; i < 8; ++i) {
    u.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(high >> (8 * i));
    u.bytes[static_cast<std::size_t>(i) + 8] = static_cast<std::uint8_t>(low >> (8 * i));
  }
  u.bytes[6] = static_cast<std::uint8_t>((u.bytes[6] & 0x0F) | 0x40);
  u.bytes[8] = static_cast<std::uint8_t>((u.bytes[8] & 0x3F) | 0x80);
  return u;
}

}  // namespace csnap
