// SPDX-License-Identifier: Apache-2.0
#include "store/device_identity.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "store/open_device.h"
#include "test/store/loop_device.h"
#include "test/store/temporary.h"

using namespace csnap;
using csnap::test::LoopDevice;
using csnap::test::TemporaryDirectory;

namespace {

bool mentions(const Status& status, const std::string& text) {
  INFO(status.to_string());
  return status.message().find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a file is the same volume under any of its names") {
  const TemporaryDirectory dir;
  const auto path = dir.file("volume", 8192);
  std::filesystem::create_hard_link(path, dir / "other");
  std::filesystem::create_symlink(path, dir / "link");
  const auto mine = identify(path);
  REQUIRE(mine.ok());
  CHECK(mine->size == 8192);
  CHECK_FALSE(mine->host.empty());
  for (const char* name : {"other", "link"}) {
    const auto theirs = identify(dir / name);
    REQUIRE(theirs.ok());
    CHECK(*theirs == *mine);
    CHECK(same_volume(*mine, *theirs, "store").ok());
  }
}

TEST_CASE("two files are not the same volume on one host") {
  const TemporaryDirectory dir;
  const auto mine = identify(dir.file("a", 8192));
  const auto theirs = identify(dir.file("b", 8192));
  const Status status = same_volume(*mine, *theirs, "origin a");
  CHECK(status.code() == Code::invalid);
  CHECK(mentions(status, "origin a is not the same volume on both sides: it is a file with inode"));
}

TEST_CASE("volumes of two sizes differ wherever they are") {
  DeviceIdentity mine{.size = 1, .host = "x"}, theirs{.size = 2, .host = "y"};
  CHECK(mentions(same_volume(mine, theirs, "store"), "it has 1 bytes here and 2 there"));
}

TEST_CASE("numbers of another host, or another boot, say nothing") {
  DeviceIdentity mine{.size = 1, .host = "x", .device = 1, .inode = 2};
  DeviceIdentity theirs{.size = 1, .host = "y", .device = 3, .inode = 4};
  CHECK(same_volume(mine, theirs, "store").ok());
  theirs.host = mine.host = "";
  CHECK(same_volume(mine, theirs, "store").ok());
}

TEST_CASE("a block device is known by its number, whatever its node") {
  DeviceIdentity mine{.size = 1, .host = "x", .device = 5, .inode = 6, .rdev = 0x800};
  DeviceIdentity theirs{.size = 1, .host = "x", .device = 7, .inode = 8, .rdev = 0x800};
  CHECK(same_volume(mine, theirs, "store").ok());
  theirs.rdev = 0x801;
  CHECK(mentions(same_volume(mine, theirs, "store"),
                 "it is a block device 8:0 here and a block device 8:1 there"));
  theirs.rdev = 0;
  CHECK_FALSE(same_volume(mine, theirs, "store").ok());
}

TEST_CASE("serials are compared across hosts when both are known") {
  DeviceIdentity mine{.size = 1, .host = "x", .rdev = 1, .serial = "naa.1"};
  DeviceIdentity theirs{.size = 1, .host = "y", .rdev = 2, .serial = "naa.2"};
  CHECK(mentions(same_volume(mine, theirs, "store"), "'naa.1' here and 'naa.2' there"));
  theirs.serial = "naa.1";
  CHECK(same_volume(mine, theirs, "store").ok());
  theirs.serial = "";
  CHECK(same_volume(mine, theirs, "store").ok());
}

TEST_CASE("what is no volume has no identity") {
  const TemporaryDirectory dir;
  CHECK(identify(dir / "missing").status().code() == Code::not_found);
  CHECK(identify(dir.path()).status().code() == Code::invalid);
}

TEST_CASE("a block device has size and number") {
  const TemporaryDirectory dir;
  const LoopDevice loop(dir.file("backing", 1 << 20), 512);
  if (!loop.made()) {
    WARN("no loop devices here: nothing tested");
    return;
  }
  const auto identity = identify(loop.path());
  REQUIRE(identity.ok());
  CHECK(identity->size == 1 << 20);
  CHECK(identity->rdev != 0);
  const auto lock = lock_device(loop.path());
  REQUIRE(lock.ok());
  CHECK(lock_device(loop.path()).status().code() == Code::busy);
  CHECK(open_device(loop.path(), OpenMode::read_write).ok());
}

TEST_CASE("a second lock names the holder, and the lock ends with its object") {
  const TemporaryDirectory dir;
  const auto path = dir.file("volume", 4096);
  {
    auto lock = lock_device(path);
    REQUIRE(lock.ok());
    const DeviceLock moved = std::move(lock).value();
    const Status status = lock_device(path).status();
    CHECK(status.code() == Code::busy);
    CHECK(mentions(status, path + ": is in use by this very process (pid " +
                               std::to_string(::getpid()) + ")"));
  }
  CHECK(lock_device(path).ok());
}

TEST_CASE("a lock held by another process is told with its pid and name, and ends with it") {
  const TemporaryDirectory dir;
  const auto path = dir.file("volume", 4096);
  int ready[2], finish[2];
  REQUIRE(::pipe(ready) == 0);
  REQUIRE(::pipe(finish) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(finish[1]);
    const auto lock = lock_device(path);
    char byte = lock.ok() ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    // Until the parent closes its end.
    while (::read(finish[0], &byte, 1) > 0) {
    }
    ::_exit(0);
  }
  ::close(ready[1]);
  ::close(finish[0]);
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  REQUIRE(byte == 'y');
  const Status status = lock_device(path).status();
  ::close(finish[1]);
  ::close(ready[0]);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(status.code() == Code::busy);
  CHECK(mentions(status, "(pid " + std::to_string(child) + ")"));
  std::string name;
  std::getline(std::ifstream("/proc/self/comm"), name);
  CHECK(mentions(status, "is in use by " + name));
  CHECK(lock_device(path).ok());
}

TEST_CASE("only files and block devices can be locked") {
  const TemporaryDirectory dir;
  CHECK(lock_device(dir / "missing").status().code() == Code::not_found);
  CHECK(lock_device(dir.path()).status().code() == Code::invalid);
}

TEST_CASE("the holder is found among other locks, and lines of no sense are passed over") {
  const std::string locks =
      "1: POSIX  ADVISORY  WRITE 10 fe:00:77 0 EOF\n"
      "2: FLOCK  ADVISORY  WRITE 11 fe:00:78 0 EOF\n"
      "2: -> FLOCK  ADVISORY  WRITE 15 fe:00:77 0 EOF\n"
      "\n"
      "nonsense\n"
      "3: FLOCK  ADVISORY  WRITE x fe:00:77 0 EOF\n"
      "3: FLOCK  ADVISORY  WRITE 12 fe:zz:77 0 EOF\n"
      "3: FLOCK  ADVISORY  WRITE 13 fe:00:77 0 EOF\n"
      "4: FLOCK  ADVISORY  READ 14 fe:01:77 0 EOF";
  const auto writer = find_lock_holder(locks, 0xfe, 0, 77);
  REQUIRE(writer.has_value());
  CHECK(writer->pid == 13);
  CHECK(writer->exclusive);
  const auto reader = find_lock_holder(locks, 0xfe, 1, 77);
  REQUIRE(reader.has_value());
  CHECK(reader->pid == 14);
  CHECK_FALSE(reader->exclusive);
  CHECK_FALSE(find_lock_holder(locks, 0xfe, 0, 79).has_value());
  CHECK_FALSE(find_lock_holder("", 0xfe, 0, 79).has_value());
}
