// SPDX-License-Identifier: Apache-2.0
// A directory for one test, gone with it.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace csnap::test {

class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(
      const std::string& where = std::filesystem::temp_directory_path().string())
      : path_(where + "/csnap-test-XXXXXX") {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  // A sparse file of this size.
  std::string file(const std::string& name, std::uint64_t size) const {
    std::string path = *this / name;
    std::ofstream(path).close();
    std::filesystem::resize_file(path, size);
    return path;
  }

 private:
  std::string path_;
};

}  // namespace csnap::test
