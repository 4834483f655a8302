// SPDX-License-Identifier: Apache-2.0
// "size=N host=ID device=N inode=N rdev=N serial=TEXT": the fields that are known, the serial last
// because it may hold spaces.
#include <algorithm>
#include <charconv>

#include "store/device_identity.h"

namespace csnap {

namespace {

constexpr std::string_view kSerial = "serial=";

Status malformed(std::string_view text) {
  return Status(Code::corrupt, "not the identity of a device: " + std::string(text));
}

bool parse_number(std::string_view text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string DeviceIdentity::to_string() const {
  std::string text = "size=" + std::to_string(size);
  if (!host.empty()) text += " host=" + host;
  if (device != 0) text += " device=" + std::to_string(device);
  if (inode != 0) text += " inode=" + std::to_string(inode);
  if (rdev != 0) text += " rdev=" + std::to_string(rdev);
  if (!serial.empty()) text += " " + std::string(kSerial) + serial;
  return text;
}

Result<DeviceIdentity> DeviceIdentity::parse(std::string_view text) {
  DeviceIdentity identity;
  std::string_view rest = text;
  while (!rest.empty()) {
    if (rest.starts_with(kSerial)) {
      identity.serial = rest.substr(kSerial.size());
      break;
    }
    const std::string_view field = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), field.size() + 1));
    const std::size_t equals = field.find('=');
    if (equals == std::string_view::npos) return malformed(text);
    const std::string_view name = field.substr(0, equals), value = field.substr(equals + 1);
    std::uint64_t* number = name == "size"     ? &identity.size
                            : name == "device" ? &identity.device
                            : name == "inode"  ? &identity.inode
                            : name == "rdev"   ? &identity.rdev
                                               : nullptr;
    if (number != nullptr && !parse_number(value, *number)) return malformed(text);
    if (name == "host") identity.host = value;
  }
  return identity;
}

}  // namespace csnap
