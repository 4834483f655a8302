// SPDX-License-Identifier: Apache-2.0
#include "store/block_tree_layout.h"

#include <catch2/catch.hpp>
#include <set>

using namespace csnap;

namespace {

constexpr std::uint64_t kMiB = 1u << 20, kGiB = 1u << 30, kTiB = 1ull << 40;

BlockTreeLayout layout(std::uint64_t size, std::uint32_t page = kBlockTreePage) {
  auto made = BlockTreeLayout::make(size, page);
  REQUIRE(made.ok());
  return *made;
}

BlockTreePath parsed(const std::string& text) {
  auto path = BlockTreePath::parse(text);
  INFO(path.status().message());
  REQUIRE(path.ok());
  REQUIRE(path->has_value());
  return **path;
}

}  // namespace

TEST_CASE("the example of the format: page 1024 x 200 + 5 of a volume of 1 GiB") {
  CHECK(layout(kGiB).path_of(1024 * 200 + 5) == "TREE00C8/FILE0005");
}

TEST_CASE("a level of directories begins at 1024 pages of the level below") {
  CHECK(layout(1).levels() == 0);
  CHECK(layout(4 * kMiB - 1).levels() == 0);
  CHECK(layout(4 * kMiB).levels() == 1);
  CHECK(layout(4 * kGiB - 1).levels() == 1);
  CHECK(layout(4 * kGiB).levels() == 2);
  CHECK(layout(4 * kTiB - 1).levels() == 2);
  CHECK(layout(4 * kTiB).levels() == 3);
  CHECK(layout(64 * kMiB, 65536).levels() == 1);
  CHECK(layout(64 * kMiB - 1, 65536).levels() == 0);
}

TEST_CASE("the paths of first and last pages, by level") {
  CHECK(layout(5000).path_of(1) == "FILE0001");
  CHECK(layout(4 * kMiB - 1).path_of(1023) == "FILE03FF");
  CHECK(layout(4 * kMiB).path_of(1023) == "TREE0000/FILE03FF");
  CHECK(layout(4 * kGiB - 1).path_of(1024 * 1024 - 1) == "TREE03FF/FILE03FF");
  CHECK(layout(4 * kGiB).path_of(1024 * 1024 - 1) == "TREE0000/TREE03FF/FILE03FF");
  CHECK(layout(8 * kTiB).path_of((2ull << 30) - 1) == "TREE0001/TREE03FF/TREE03FF/FILE03FF");
  CHECK(layout(8 * kTiB).path_of(1 << 20) == "TREE0000/TREE0001/TREE0000/FILE0000");
  CHECK(layout(8 * kTiB).directory_of(1 << 20, 2) == "TREE0000/TREE0001");
  CHECK(layout(kGiB, 65536).path_of(1025) == "PART0001/PAGE0001");
}

TEST_CASE("every page has a path of its own, within the numbers that the top may have") {
  for (const std::uint64_t size : {3 * kMiB + 17, 4 * kMiB, 9 * kMiB + 4097}) {
    const auto tree = layout(size);
    std::set<std::string> paths;
    for (std::uint64_t page = 0; page < tree.pages(); ++page) paths.insert(tree.path_of(page));
    CHECK(paths.size() == (size + 4095) / 4096);
    const std::string last = *paths.rbegin();
    const std::string top = last.substr(0, last.find('/'));
    const auto number = tree.levels() == 0 ? tree.file_number(top) : tree.directory_number(top);
    CHECK(number == tree.last_at_top());
  }
}

TEST_CASE("only names of the layout are numbers") {
  const auto theirs = layout(kGiB), ours = layout(kGiB, 65536);
  CHECK(theirs.file_number("FILE03FF") == 1023);
  CHECK(theirs.directory_number("TREE00C8") == 200);
  for (const char* name : {"FILE0400", "FILE00c8", "FILE", "FILE00011", "file0001", "TREE0001", ""})
    CHECK_FALSE(theirs.file_number(name).has_value());
  CHECK_FALSE(ours.file_number("FILE0001").has_value());
  CHECK(ours.file_number("PAGE0001") == 1);
  CHECK(ours.directory_number("PART0001") == 1);
}

TEST_CASE("no volume has no bytes, or more than a file offset can say") {
  CHECK(BlockTreeLayout::make(0, 4096).status().code() == Code::invalid);
  CHECK(BlockTreeLayout::make(1ull << 63, 4096).status().code() == Code::invalid);
  CHECK(layout((1ull << 63) - 1).levels() == 5);
}

TEST_CASE("what names a tree, and what names a path") {
  for (const char* text : {"/dev/sdb", "tree", "./tree:x?size=1G", "Tree:x"}) {
    const auto path = BlockTreePath::parse(text);
    REQUIRE(path.ok());
    CHECK_FALSE(path->has_value());
  }
  CHECK(parsed("tree:/a/b").directory == "/a/b");
  CHECK(parsed("tree:/a/b").size == 0);
  CHECK(parsed("tree:a?size=10000001").size == 10000001);
  CHECK(parsed("tree:a?size=1.5G").size == 3 * kGiB / 2);
  CHECK(parsed("tree:a?size=1G&page=64K").page == 65536);
  CHECK(parsed("tree:what?is?size=1G").directory == "what?is");
  CHECK(parsed("tree:a?writes=replace&size=4K").writes == BlockTreePath::Writes::replace);
  CHECK(parsed("tree:a?b?").directory == "a?b");
  CHECK(parsed("tree:a&b").directory == "a&b");
}

TEST_CASE("a name that is wrong is told in a sentence") {
  for (const char* text :
       {"tree:a?size=", "tree:a?size=0", "tree:a?size=many", "tree:a?page=1K", "tree:a?page=5000",
        "tree:a?page=8M", "tree:a?colour=blue", "tree:a?b", "tree:a?writes=never"}) {
    const auto path = BlockTreePath::parse(text);
    CHECK(path.status().code() == Code::invalid);
    CHECK(path.status().message().find(text) == 0);
  }
}

TEST_CASE("a name is written as it is read") {
  for (const char* text : {"tree:/a", "tree:/a?size=4096", "tree:/a?size=8192&page=8192",
                           "tree:/a?b?size=4096", "tree:/a?size=1&writes=replace"})
    CHECK(parsed(text).to_string() == text);
  CHECK(parsed("tree:/a?size=4K&page=4K").to_string() == "tree:/a?size=4096");
}
