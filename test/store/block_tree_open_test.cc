// SPDX-License-Identifier: Apache-2.0
#include "store/block_tree.h"
#include "store/device_identity.h"
#include "test/store/tree_directory.h"

using namespace csnap;
using namespace csnap::test;

TEST_CASE("a directory that is no tree of this size is refused") {
  const auto error = [](const std::string& name, OpenMode mode = OpenMode::read_write) {
    const Status status = open_device(name, mode).status();
    INFO(status.message());
    CHECK_FALSE(status.ok());
    return status.code();
  };
  const TemporaryDirectory dir;
  CHECK(error("tree:" + (dir / "missing") + "?size=1G") == Code::not_found);
  CHECK(error("tree:" + dir.file("file", 1) + "?size=1G") == Code::invalid);
  CHECK(error(tree(dir, 0)) == Code::invalid);
  CHECK(error("tree:" + dir.path()) == Code::invalid);  // its size is not known
  CHECK(error(tree(dir, kGiB)) == Code::invalid);       // holds a file that is no page
  fs::remove(dir / "file");
  REQUIRE(put(*opened(tree(dir, 9 * kMiB)), 8 * kMiB, 4096, 1).ok());  // TREE0002/FILE0000
  CHECK(error(tree(dir, 2 * kMiB)) == Code::invalid);                  // would be files at the top
  CHECK(error(tree(dir, 8 * kMiB)) == Code::invalid);   // would have TREE0001 at most
  CHECK(error(tree(dir, 40 * kGiB)) == Code::invalid);  // would have two levels
  CHECK(error(tree(dir, 9 * kMiB, "&page=64K")) == Code::invalid);
  CHECK(open_device(tree(dir, 12 * kMiB), OpenMode::read_only).ok());
}

TEST_CASE("a tree with pages of our own says so itself") {
  const TemporaryDirectory dir;
  const std::string name = tree(dir, 2 * kGiB, "&page=64K");
  CHECK(open_device(name, OpenMode::read_only).ok());
  CHECK(listing(dir.path()).empty());
  REQUIRE(put(*opened(name), 65536 * 1025ull + 4096, 4096, 5).ok());
  CHECK(listing(dir.path())["PART0001/PAGE0001"] == "65536");
  CHECK(fs::exists(dir / kTreeMarker));
  const auto again = opened("tree:" + dir.path());
  CHECK(again->size() == 2 * kGiB);
  CHECK(holds(*again, 65536 * 1025ull + 4096, 4096, 5));
  CHECK(open_device(tree(dir, kGiB), OpenMode::read_write).status().code() == Code::invalid);
  CHECK(open_device(tree(dir, 2 * kGiB, "&page=4K"), OpenMode::read_write).status().code() ==
        Code::invalid);
  CHECK(open_device(tree(dir, 2 * kGiB, "&page=32K"), OpenMode::read_write).status().code() ==
        Code::invalid);
  write_file(dir / kTreeMarker, "csnap block tree 2\n");
  CHECK(open_device("tree:" + dir.path(), OpenMode::read_write).status().code() ==
        Code::unsupported);
}

TEST_CASE("a tree is made, is not made twice, and is taken away") {
  const TemporaryDirectory dir;
  const std::string name = "tree:" + (dir / "new");
  CHECK_FALSE(device_exists(name));
  CHECK(create_device_file(name, kGiB, [](double) {}).code() == Code::unsupported);
  CHECK(create_device_file(name + "?size=2G", kGiB).code() == Code::invalid);
  CHECK_FALSE(device_exists(name));
  REQUIRE(create_device_file(name + "?page=1M", kGiB).ok());
  CHECK(device_exists(name));
  CHECK(opened(name)->size() == kGiB);
  CHECK(create_device_file(name, kGiB).code() == Code::exists);
  remove_device_file(name);
  CHECK_FALSE(device_exists(name));
}

TEST_CASE("a tree has the identity of its directory, and one owner") {
  const TemporaryDirectory dir, other;
  const std::string name = tree(dir, 10'000'001);
  const auto mine = identify(name), theirs = identify(tree(other, 10'000'001));
  REQUIRE((mine.ok() && theirs.ok()));
  CHECK(mine->size == 10'000'384);
  CHECK(same_volume(*mine, *identify(absolute_device_name(name)), "it").ok());
  CHECK(same_volume(*mine, *theirs, "it").code() == Code::invalid);
  CHECK(same_volume(*mine, *identify(tree(dir, kGiB)), "it").code() == Code::invalid);
  const auto lock = lock_device(name);
  REQUIRE(lock.ok());
  CHECK(lock_device(name).status().code() == Code::busy);
  CHECK(lock_device(tree(other, kGiB)).ok());
  CHECK(open_device(name, OpenMode::read_write).ok());
  CHECK(absolute_device_name("tree:a/../b?size=4K") ==
        "tree:" + fs::current_path().string() + "/b?size=4096");
}
