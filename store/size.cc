// SPDX-License-Identifier: Apache-2.0
#include "store/size.h"

#include <cctype>
#include <limits>

namespace csnap {
namespace {

constexpr char kUnits[] = "kmgtpe";

Status not_a_size(const std::string& text) {
  return Status(
      Code::invalid,
      "'" + text + "' is not a size; write a number and a unit, such as 64K, 512MiB or 2G");
}

// How many bytes the unit is; 0 when it is none.
std::uint64_t unit_bytes(std::string unit) {
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit.empty() || unit == "b") return 1;
  const std::string tail = unit.substr(1);
  std::uint64_t base = 0;
  if (tail.empty() || tail == "ib") base = 1024;
  if (tail == "b") base = 1000;
  std::uint64_t bytes = base;
  for (const char* u = kUnits; *u; ++u, bytes *= base)
    if (unit[0] == *u) return bytes;
  return 0;
}

}  // namespace

Result<std::uint64_t> parse_size(const std::string& text) {
  const auto is_digit = [&](std::size_t i) {
    return i < text.size() && std::isdigit(static_cast<unsigned char>(text[i]));
  };
  constexpr unsigned __int128 kLimit = std::numeric_limits<std::uint64_t>::max();
  std::size_t i = 0;
  unsigned __int128 number = 0;  // without the decimal point
  unsigned __int128 scale = 1;
  bool point = false;
  if (!is_digit(0)) return not_a_size(text);
  for (; is_digit(i) || (!point && text[i] == '.' && is_digit(i + 1)); ++i) {
    if (i == text.size()) break;
    if (text[i] == '.') {
      point = true;
      continue;
    }
    number = number * 10 + static_cast<unsigned>(text[i] - '0');
    if (point) scale *= 10;
    if (number > kLimit || scale > kLimit)
      return Status(Code::out_of_range, "'" + text + "' has too many digits for a size");
  }
  while (i < text.size() && text[i] == ' ') ++i;
  const std::uint64_t unit = unit_bytes(text.substr(i));
  if (unit == 0) return not_a_size(text);
  const unsigned __int128 bytes = number * unit;
  if (bytes % scale != 0)
    return Status(Code::invalid, "'" + text + "' is not a whole number of bytes");
  if (bytes / scale > kLimit)
    return Status(Code::out_of_range, "'" + text + "' is more than 16 EiB");
  return static_cast<std::uint64_t>(bytes / scale);
}

std::string format_size(std::uint64_t bytes) {
  static constexpr const char* kNames[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  unsigned unit = 0;
  while (unit < 6 && bytes >> (10 * (unit + 1)) != 0) ++unit;
  const std::uint64_t whole = bytes >> (10 * unit);
  std::string text = std::to_string(whole);
  if (unit > 0) {
    const std::uint64_t rest = bytes - (whole << (10 * unit));
    const auto tenths =
        static_cast<std::uint64_t>((static_cast<unsigned __int128>(rest) * 10) >> (10 * unit));
    if (tenths != 0) text += "." + std::to_string(tenths);
  }
  return text + " " + kNames[unit];
}

}  // namespace csnap
