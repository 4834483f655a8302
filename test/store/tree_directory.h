// SPDX-License-Identifier: Apache-2.0
// Trees of block files in directories of their own, opened as devices.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>

#include "store/aligned_buffer.h"
#include "store/open_device.h"
#include "test/store/temporary.h"

namespace csnap::test {

namespace fs = std::filesystem;

inline constexpr std::uint64_t kMiB = 1u << 20, kGiB = 1u << 30;

inline std::string tree(const std::string& directory, const std::string& settings) {
  return "tree:" + directory + "?" + settings;
}
inline std::string tree(const TemporaryDirectory& directory, std::uint64_t size,
                        const std::string& more = "") {
  return tree(directory.path(), "size=" + std::to_string(size) + more);
}

inline std::unique_ptr<Device> opened(const std::string& name,
                                      OpenMode mode = OpenMode::read_write) {
  auto device = open_device(name, mode);
  INFO(device.status().message());
  REQUIRE(device.ok());
  return std::move(device).value();
}

inline AlignedBuffer filled(std::size_t length, int value) {
  AlignedBuffer buffer(length);
  std::fill_n(buffer.data(), length, static_cast<std::byte>(value));
  return buffer;
}

inline Status put(Device& device, std::uint64_t offset, std::size_t length, int value) {
  AlignedBuffer data = filled(length, value);
  return write_sync(device, offset, data.span());
}

inline bool holds(Device& device, std::uint64_t offset, std::size_t length, int value) {
  AlignedBuffer got(length);
  REQUIRE(read_sync(device, offset, got.span()).ok());
  return std::all_of(got.data(), got.data() + length,
                     [value](std::byte b) { return b == static_cast<std::byte>(value); });
}

// Everything below the directory, by path: what it is, and how long.
inline std::map<std::string, std::string> listing(const std::string& directory) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    found[fs::relative(entry.path(), directory).string()] =
        entry.is_directory() ? "directory" : std::to_string(entry.file_size());
  return found;
}

inline void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace csnap::test
