// SPDX-License-Identifier: Apache-2.0
#include "store/open_device.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "store/aligned_buffer.h"
#include "test/store/temporary.h"

using namespace csnap;
using csnap::test::TemporaryDirectory;

namespace {

Status open_error(const std::string& path, OpenMode mode = OpenMode::read_write) {
  return open_device(path, mode).status();
}

}  // namespace

TEST_CASE("a file that was made can be opened, written and read") {
  const TemporaryDirectory dir;
  const auto path = dir / "volume";
  REQUIRE(create_device_file(path, 1ULL << 40).ok());
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK(info.st_size == 1LL << 40);
  CHECK(info.st_blocks * 512 < 1 << 20);
  CHECK((info.st_mode & 0777) == 0600);
  auto device = open_device(path, OpenMode::read_write);
  REQUIRE(device.ok());
  CHECK((*device)->size() == 1ULL << 40);
  AlignedBuffer buffer(4096);
  CHECK(write_sync(**device, (1ULL << 40) - 4096, buffer.span()).ok());
  auto reader = open_device(path, OpenMode::read_only);
  REQUIRE(reader.ok());
  CHECK((*reader)->read_only());
  CHECK(write_sync(**reader, 0, buffer.span()).code() == Code::denied);
}

TEST_CASE("a file is made with all its blocks when that is asked for, and says how far it is") {
  const TemporaryDirectory dir;
  const auto path = dir / "full";
  double last = 0;
  bool onwards = true;
  REQUIRE(create_device_file(path, (3u << 20) + 4096, [&](double part) {
            onwards &= part > last;
            last = part;
          }).ok());
  CHECK(onwards);
  CHECK(last == 1.0);
  struct stat st {};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  CHECK(st.st_size == (3 << 20) + 4096);
  CHECK(st.st_blocks * 512 >= st.st_size);
}

TEST_CASE("a file is not made over another") {
  const TemporaryDirectory dir;
  const auto path = dir.file("volume", 4096);
  CHECK(create_device_file(path, 8192).code() == Code::exists);
  CHECK(std::filesystem::file_size(path) == 4096);
}

TEST_CASE("a file that cannot be made leaves nothing behind") {
  const TemporaryDirectory dir;
  CHECK(create_device_file(dir / "no/volume", 8192).code() == Code::not_found);
  CHECK(create_device_file(dir / "volume", 0).code() == Code::invalid);
  CHECK(create_device_file(dir / "volume", 4097).code() == Code::invalid);
  CHECK(create_device_file(dir / "volume", ~std::uint64_t{4095}).code() == Code::no_space);
  CHECK(create_device_file(dir / "volume", (1ULL << 63) - 4096).code() == Code::no_space);
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("what cannot be opened is told why") {
  const TemporaryDirectory dir;
  CHECK(open_error(dir / "missing").to_string() ==
        "not_found: " + (dir / "missing") + ": does not exist");
  CHECK(open_error(dir.path()).to_string() == "invalid: " + dir.path() + ": is a directory");
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  CHECK(open_error(dir / "pipe").message() == (dir / "pipe") + ": is a pipe, not a block device");
  CHECK(open_error("/dev/null").message() ==
        "/dev/null: is a character device, not a block device");
  CHECK(open_error(dir.file("empty", 0)).message() == (dir / "empty") + ": is empty");
}

TEST_CASE("a file that ends within a sector is refused with the cure") {
  const TemporaryDirectory dir;
  const auto path = dir.file("odd", 1000);
  const Status status = open_error(path, OpenMode::read_only);
  CHECK(status.code() == Code::invalid);
  CHECK(status.message().find("its size of 1000 bytes is not a multiple of") != std::string::npos);
  CHECK(status.message().find("truncate -s ") != std::string::npos);
}

TEST_CASE("a file without permission is denied, but may be read if that is allowed") {
  const TemporaryDirectory dir;
  const auto path = dir.file("volume", 4096);
  REQUIRE(::chmod(path.c_str(), 0400) == 0);
  // Root may open anything: be somebody else for a while, who owns the file.
  constexpr uid_t kNobody = 65534;
  const bool root = ::geteuid() == 0;
  if (root) {
    REQUIRE(::chown(dir.path().c_str(), kNobody, kNobody) == 0);
    REQUIRE(::chown(path.c_str(), kNobody, kNobody) == 0);
    REQUIRE(::seteuid(kNobody) == 0);
  }
  const Status status = open_error(path);
  const bool readable = open_device(path, OpenMode::read_only).ok();
  if (root) REQUIRE(::seteuid(0) == 0);
  CHECK(status.code() == Code::denied);
  CHECK(status.message() == path + ": no permission to open it for reading and writing");
  CHECK(readable);
}
