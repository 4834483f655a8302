// SPDX-License-Identifier: Apache-2.0
// Where devices have data: files by their holes, trees of block files by the files that exist.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>
#include <set>
#include <vector>

#include "store/block_tree.h"
#include "store/memory_device.h"
#include "test/store/tree_directory.h"

using namespace csnap;
using namespace csnap::test;

namespace {

std::shared_ptr<BlockTree> opened_tree(const TemporaryDirectory& dir, std::uint64_t size,
                                       const std::string& more = "") {
  const auto path = BlockTreePath::parse(tree(dir, size, more));
  REQUIRE(path.ok());
  auto opened = BlockTree::open(**path, false);
  INFO(opened.status().message());
  REQUIRE(opened.ok());
  return std::move(opened).value();
}

std::vector<DataExtent> all_data(Device& device) {
  std::vector<DataExtent> found;
  for (std::uint64_t at = 0; at < device.size();) {
    const auto next = device.next_data(at);
    INFO(next.status().message());
    REQUIRE(next.ok());
    REQUIRE(next->start >= at);
    if (next->start == device.size()) break;
    REQUIRE(next->end > next->start);
    found.push_back(*next);
    at = next->end;
  }
  return found;
}

bool lies_in(const std::vector<DataExtent>& extents, std::uint64_t offset) {
  return std::any_of(extents.begin(), extents.end(), [&](const DataExtent& each) {
    return each.start <= offset && offset < each.end;
  });
}

bool has_holes(const TemporaryDirectory& dir) {
  const auto device = opened(dir.file("probe", kMiB));
  const auto next = device->next_data(0);
  REQUIRE(next.ok());
  if (next->start == kMiB) return true;
  WARN("this file system tells of no holes");
  return false;
}

}  // namespace

TEST_CASE("the next pages of a tree are those that have files, wherever one begins") {
  const std::uint64_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::uint64_t sizes[] = {37 * 4096 + 1536, 6 * kMiB + 512, 5 * kGiB, 6ull << 40,
                                 1ull << 50};
  for (const std::uint64_t size : sizes) {
    for (const char* more : {"", "&page=16K"}) {
      INFO("size " << size << more);
      const TemporaryDirectory dir;
      const auto tree = opened_tree(dir, size, more);
      const std::uint64_t pages = tree->layout().pages(), page = tree->layout().page();
      CHECK(tree->next_pages(0)->first == pages);
      std::set<std::uint64_t> twin{pages - 1};
      // Near each other, at both sides of the borders of directories, and anywhere.
      for (int i = 0; i < 12; ++i)
        for (unsigned bits = 0; bits <= 40; bits += 10)
          twin.insert(((random() % 3 << bits) + pages - 2 + random() % 4) % pages);
      for (int i = 0; i < 20; ++i) twin.insert(random() % pages);
      const std::vector<std::byte> data(512, std::byte{7});
      for (const std::uint64_t each : twin) REQUIRE(tree->write(each * page, data).ok());
      write_file(dir / "notes.txt", "none of the tree's");
      for (int i = 0; i < 400; ++i) {
        const std::uint64_t from =
            random() % 3 == 0
                ? random() % pages
                : (*std::next(twin.begin(), static_cast<std::ptrdiff_t>(random() % twin.size())) +
                   random() % 3) %
                      pages;
        const auto next = tree->next_pages(from);
        REQUIRE(next.ok());
        const auto expected = twin.lower_bound(from);
        REQUIRE(next->first == (expected == twin.end() ? pages : *expected));
        if (expected == twin.end()) continue;
        std::uint64_t end = *expected + 1;
        while (end % kTreeFan != 0 && twin.contains(end)) ++end;
        REQUIRE(next->end == end);
      }
    }
  }
}

TEST_CASE("a tree's data is where its pages are, up to the volume's end") {
  const TemporaryDirectory dir;
  const auto device = opened(tree(dir, 10'000'001));
  CHECK(all_data(*device).empty());
  CHECK_FALSE(device->punches());
  const std::uint64_t last = device->size() / 4096 * 4096;
  REQUIRE(put(*device, 8192, 8192, 1).ok());
  REQUIRE(put(*device, last, 512, 1).ok());
  const auto found = all_data(*device);
  REQUIRE(found.size() == 2);
  CHECK(found[0].start == 8192);
  CHECK(found[0].end == 16384);
  CHECK(found[1].start == last);
  CHECK(found[1].end == device->size());
  CHECK(device->next_data(9000)->start == 9000);
  CHECK(device->next_data(device->size())->start == device->size());
}

TEST_CASE("a directory that cannot be read is an error, not a hole") {
  if (::getuid() == 0) {
    const TemporaryDirectory dir;
    const auto tree = opened_tree(dir, kGiB);
    write_file(dir / "TREE0003", "a file where a directory belongs");
    CHECK_FALSE(tree->next_pages(0).ok());
    return;
  }
  const TemporaryDirectory dir;
  const auto tree = opened_tree(dir, kGiB);
  const std::vector<std::byte> data(512, std::byte{7});
  REQUIRE(tree->write(0, data).ok());
  REQUIRE(::chmod((dir / "TREE0000").c_str(), 0) == 0);
  CHECK(tree->next_pages(0).status().code() == Code::denied);
  REQUIRE(::chmod((dir / "TREE0000").c_str(), 0700) == 0);
}

TEST_CASE("a file's data is what is not in its holes, and punching makes more of them") {
  const TemporaryDirectory dir;
  if (!has_holes(dir)) return;
  const std::string path = dir.file("file", 64 * kMiB + 512);
  const auto device = opened(path);
  CHECK(all_data(*device).empty());
  REQUIRE(put(*device, 10 * kMiB, 2 * kMiB, 1).ok());
  REQUIRE(put(*device, 64 * kMiB, 512, 2).ok());
  const auto before = all_data(*device);
  CHECK(lies_in(before, 10 * kMiB));
  CHECK(lies_in(before, 12 * kMiB - 1));
  CHECK(lies_in(before, 64 * kMiB));
  CHECK_FALSE(lies_in(before, kMiB));
  CHECK_FALSE(lies_in(before, 30 * kMiB));
  REQUIRE(device->punches());
  REQUIRE(device->punch(10 * kMiB, kMiB).ok());
  CHECK_FALSE(lies_in(all_data(*device), 10 * kMiB));
  CHECK(holds(*device, 10 * kMiB, kMiB, 0));
  CHECK(holds(*device, 11 * kMiB, kMiB, 1));
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK(static_cast<std::uint64_t>(info.st_blocks) * 512 < 3 * kMiB / 2);
  const auto reader = opened(path, OpenMode::read_only);
  CHECK_FALSE(reader->punches());
  CHECK(lies_in(all_data(*reader), 11 * kMiB));
}

TEST_CASE("a device that cannot tell has data everywhere") {
  MemoryDevice device(std::make_shared<MemoryVolume>("memory", kMiB, 512));
  const auto next = device.next_data(4096);
  REQUIRE(next.ok());
  CHECK(next->start == 4096);
  CHECK(next->end == kMiB);
  CHECK_FALSE(device.punches());
  CHECK(device.punch(0, 4096).code() == Code::unsupported);
}
