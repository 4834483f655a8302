// SPDX-License-Identifier: Apache-2.0
#include "proto/text.h"

#include <cstdint>

namespace csnap {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t i) {
  return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0;
}

// Length of the well-formed character at the start (Unicode 15, table 3-7), 0 if there is none.
std::size_t character_length(std::string_view text) {
  const std::uint8_t a = byte_at(text, 0);
  const std::uint8_t b = byte_at(text, 1);
  const auto tail = [&](std::size_t i) { return (byte_at(text, i) & 0xC0) == 0x80; };
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return tail(1) ? 2 : 0;
  if (a >= 0xE0 && a <= 0xEF) {
    // No longer forms than needed, no surrogates.
    const bool second = a == 0xE0   ? b >= 0xA0 && b <= 0xBF
                        : a == 0xED ? b >= 0x80 && b <= 0x9F
                                    : tail(1);
    return second && tail(2) ? 3 : 0;
  }
  if (a >= 0xF0 && a <= 0xF4) {
    const bool second = a == 0xF0   ? b >= 0x90 && b <= 0xBF
                        : a == 0xF4 ? b >= 0x80 && b <= 0x8F
                                    : tail(1);
    return second && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

bool is_control(std::string_view character) {
  const std::uint8_t a = byte_at(character, 0);
  if (character.size() == 1) return a < 0x20 || a == 0x7F;
  return character.size() == 2 && a == 0xC2 && byte_at(character, 1) < 0xA0;
}

}  // namespace

std::string clean_utf8(std::string_view text, std::size_t max_bytes) {
  std::string clean;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    const auto character = text.substr(0, length == 0 ? 1 : length);
    const bool keep = length != 0 && !is_control(character);
    if (clean.size() + (keep ? length : 1) > max_bytes) break;
    if (keep)
      clean += character;
    else
      clean += '?';
    text.remove_prefix(character.size());
  }
  return clean;
}

}  // namespace csnap
