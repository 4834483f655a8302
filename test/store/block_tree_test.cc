// SPDX-License-Identifier: Apache-2.0
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>
#include <vector>

#include "store/memory_device.h"
#include "test/store/tree_directory.h"

using namespace csnap;
using namespace csnap::test;

TEST_CASE("a page is a file of 4096 bytes at the place that its number says") {
  struct Example {
    std::uint64_t size, offset;
    std::vector<std::string> directories;
    std::string file;
  };
  const Example examples[] = {{3 * kMiB + 512, 5 * 4096, {}, "FILE0005"},
                              {kGiB, (1024 * 200 + 5) * 4096ull, {"TREE00C8"}, "TREE00C8/FILE0005"},
                              {5 * kGiB,
                               (1ull << 32) + 4096,
                               {"TREE0001", "TREE0001/TREE0000"},
                               "TREE0001/TREE0000/FILE0001"},
                              {8ull << 40,
                               (1ull << 42) + 8192,
                               {"TREE0001", "TREE0001/TREE0000", "TREE0001/TREE0000/TREE0000"},
                               "TREE0001/TREE0000/TREE0000/FILE0002"}};
  for (const Example& example : examples) {
    const TemporaryDirectory dir;
    const auto device = opened(tree(dir, example.size));
    CHECK(device->size() == example.size);
    REQUIRE(put(*device, example.offset + 512, 1024, 7).ok());
    std::map<std::string, std::string> expected{{example.file, "4096"}};
    for (const auto& directory : example.directories) expected[directory] = "directory";
    CHECK(listing(dir.path()) == expected);
    struct stat info {};
    REQUIRE(::stat((dir / example.file).c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    if (!example.directories.empty()) {
      REQUIRE(::stat((dir / example.directories[0]).c_str(), &info) == 0);
      CHECK((info.st_mode & 0777) == 0700);
    }
    CHECK(holds(*device, example.offset + 512, 1024, 7));
    CHECK(holds(*device, example.offset, 512, 0));
    CHECK(holds(*device, example.offset + 1536, 4096 - 1536, 0));
  }
}

TEST_CASE("reading makes nothing") {
  const TemporaryDirectory dir;
  for (const auto mode : {OpenMode::read_write, OpenMode::read_only}) {
    const auto device = opened(tree(dir, 5 * kGiB), mode);
    CHECK(holds(*device, 0, 64 << 10, 0));
    CHECK(holds(*device, 5 * kGiB - 4096, 4096, 0));
    CHECK(listing(dir.path()).empty());
  }
}

TEST_CASE("a page of zeros has no file, and a directory without files goes") {
  const TemporaryDirectory dir;
  const auto device = opened(tree(dir, 5 * kGiB));
  REQUIRE(put(*device, 0, 4096, 0).ok());
  REQUIRE(put(*device, 512, 512, 0).ok());
  CHECK(listing(dir.path()).empty());
  REQUIRE(put(*device, 0, 8192, 1).ok());
  REQUIRE(put(*device, 4 * kMiB, 4096, 2).ok());
  CHECK(listing(dir.path()).size() == 6);
  REQUIRE(put(*device, 0, 4096, 0).ok());
  CHECK(listing(dir.path()).size() == 5);
  CHECK(holds(*device, 4096, 4096, 1));
  REQUIRE(put(*device, 4096, 4096, 0).ok());
  CHECK(listing(dir.path()).size() == 3);
  REQUIRE(put(*device, 0, 8 * kMiB, 0).ok());
  CHECK(listing(dir.path()).empty());
  REQUIRE(put(*device, 4096, 4096, 3).ok());  // through directories that were there before
  CHECK(holds(*device, 4096, 4096, 3));
}

TEST_CASE("two who write parts of the same pages take nothing from each other") {
  const char* const more = GENERATE("", "&writes=replace", "&page=64K", "&page=64K&writes=replace");
  INFO(more);
  const std::size_t half = std::string(more).starts_with("&page") ? 32 << 10 : 2048;
  const TemporaryDirectory dir;
  const std::string path = tree(dir, 8 * half, more);
  const auto first = opened(path), second = opened(path);
  std::atomic<int> wrong = 0;
  const auto write = [&](Device& device, std::size_t from) {
    for (unsigned i = 1; i <= 300; ++i) {
      const std::size_t at = from + i % 4 * 2 * half;
      const int value = i % 3 == 0 ? 0 : static_cast<int>(i % 251);
      if (!put(device, at, half, value).ok() || !holds(device, at, half, value)) ++wrong;
    }
  };
  std::thread other([&] { write(*second, half); });
  write(*first, 0);
  other.join();
  CHECK(wrong == 0);
}

TEST_CASE("nothing is written through a symbolic link") {
  const TemporaryDirectory dir, outside;
  const auto device = opened(tree(dir, 1ull << 30));
  const std::string victim = outside.path() + "/FILE0000";
  std::ofstream(victim) << "mine";
  std::filesystem::create_directory(dir.path() + "/TREE0000");
  std::filesystem::create_symlink(victim, dir.path() + "/TREE0000/FILE0001");
  std::filesystem::create_symlink(outside.path() + "/new", dir.path() + "/TREE0000/FILE0002");
  std::filesystem::create_directory_symlink(outside.path(), dir.path() + "/TREE0001");
  for (const std::uint64_t page : {1u, 2u, 1024u}) {
    INFO("page " << page);
    const Status status = put(*device, page * 4096, 4096, 7);
    CHECK(status.code() == Code::invalid);
    CHECK(status.message().find("symbolic link") != std::string::npos);
  }
  CHECK(put(*device, 1024 * 4096, 4096, 0).code() == Code::invalid);  // nor taken away
  REQUIRE(std::filesystem::exists(victim));
  CHECK(std::filesystem::file_size(victim) == 4);
  CHECK_FALSE(std::filesystem::exists(outside.path() + "/new"));
}

TEST_CASE("a volume that ends within a page, and within a sector") {
  const TemporaryDirectory dir;
  const std::uint64_t size = 10'000'001;
  const auto device = opened(tree(dir, size));
  CHECK(device->size() == 10'000'384);
  CHECK(put(*device, device->size(), 512, 1).code() == Code::out_of_range);
  const std::uint64_t last = device->size() / 4096 * 4096;
  REQUIRE(put(*device, last, device->size() - last, 9).ok());
  CHECK(listing(dir.path()) == std::map<std::string, std::string>{{"TREE0002", "directory"},
                                                                  {"TREE0002/FILE0189", "4096"}});
  REQUIRE(put(*device, last, device->size() - last, 0).ok());
  CHECK(listing(dir.path()).empty());
}

TEST_CASE("two that have a tree open see each other's pages come, change and go") {
  const TemporaryDirectory dir;
  for (const char* more : {"", "&writes=replace"}) {
    const auto one = opened(tree(dir, 5 * kGiB, more)), two = opened(tree(dir, 5 * kGiB, more));
    for (int round = 1; round < 6; ++round) {
      Device &writer = round % 2 == 0 ? *one : *two, &reader = round % 2 == 0 ? *two : *one;
      for (std::uint64_t page = 0; page < 3; ++page) {
        CHECK(holds(reader, page * 4096, 4096, 0));
        REQUIRE(put(writer, page * 4096, 4096, round).ok());
        CHECK(holds(reader, page * 4096, 4096, round));
        REQUIRE(put(reader, page * 4096 + 512, 512, 50).ok());
        CHECK(holds(writer, page * 4096 + 512, 512, 50));
        CHECK(holds(writer, page * 4096 + 1024, 512, round));
        REQUIRE(put(writer, page * 4096, 4096, 0).ok());
        CHECK(holds(reader, page * 4096, 4096, 0));
        REQUIRE(put(reader, page * 4096, 4096, 60).ok());
        REQUIRE(put(writer, page * 4096, 512, 61).ok());
        CHECK(holds(reader, page * 4096, 512, 61));
        CHECK(holds(reader, page * 4096 + 512, 3584, 60));
        REQUIRE(put(reader, page * 4096, 4096, 0).ok());
      }
      CHECK(listing(dir.path()).empty());
    }
  }
}

TEST_CASE("a tree is its twin in memory, under random events") {
  const std::uint64_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::uint64_t sizes[] = {4096 * 37 + 1536, 6 * kMiB + 512, 4 * kGiB + 3 * 4096,
                                 (4ull << 40) + 512};
  for (const std::uint64_t size : sizes) {
    for (const char* more : {"", "&page=16K", "&writes=replace"}) {
      INFO("size " << size << more);
      const TemporaryDirectory dir;
      const auto device = opened(tree(dir, size, more));
      const auto volume = std::make_shared<MemoryVolume>("twin", size, 512);
      MemoryDevice twin(volume);
      // Where something happens: the beginning, across a directory, the end.
      const std::uint64_t places[] = {0, std::min(size / 2, 4 * kMiB - 16384) / 4096 * 4096,
                                      (size - 131072) / 512 * 512};
      for (int event = 0; event < 150; ++event) {
        const std::uint64_t from = places[random() % 3];
        const std::uint64_t offset =
            from + random() % std::min<std::uint64_t>(size - from, 131072) / 512 * 512;
        std::uint64_t length = std::min<std::uint64_t>(size - offset, (1 + random() % 64) * 512);
        const bool zeros = random() % 3 == 0;
        if (zeros && random() % 2 == 0) length = std::min<std::uint64_t>(size - offset, 65536);
        AlignedBuffer data(length);
        if (!zeros)
          for (std::size_t i = 0; i < length; i += 64)
            data.data()[i] = static_cast<std::byte>(random());
        if (random() % 4 == 0) {
          AlignedBuffer got(length);
          REQUIRE(read_sync(*device, offset, got.span()).ok());
          const auto expected = volume->bytes(offset, length);
          REQUIRE(std::equal(expected.begin(), expected.end(), got.data()));
        } else if (random() % 8 == 0) {
          REQUIRE(flush_sync(*device).ok());
        } else {
          REQUIRE(write_sync(*device, offset, data.span()).ok());
          REQUIRE(write_sync(twin, offset, data.span()).ok());
        }
      }
      const auto again = opened(tree(dir, size, more), OpenMode::read_only);
      for (const std::uint64_t from : places) {
        AlignedBuffer got(std::min<std::uint64_t>(size - from, 196608));
        REQUIRE(read_sync(*again, from, got.span()).ok());
        const auto expected = volume->bytes(from, got.size());
        REQUIRE(std::equal(expected.begin(), expected.end(), got.data()));
      }
    }
  }
}

TEST_CASE("requests in flight are all carried out, on queues of several threads") {
  const TemporaryDirectory dir;
  const auto device = opened(tree(dir, 64 * kMiB));
  CHECK(device->event_fd() >= 0);
  CHECK_FALSE(device->direct());
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (unsigned t = 0; t < 4; ++t) {
    auto shared = device->share();
    REQUIRE(shared.ok());
    threads.emplace_back([&failures, t, queue = std::move(shared).value()] {
      AlignedBuffer data = filled(256 << 10, static_cast<int>(t) + 1);
      // Sectors of the same pages as the others'.
      for (std::uint64_t i = 0; i < 128; ++i)
        queue->submit({IoKind::write, i * 4096 + t * 1024, data.span().first(1024),
                       [&failures](const Status& status) { failures += !status.ok(); }});
      queue->submit({IoKind::write, (t + 1) * 8 * kMiB + 512, data.span(),
                     [&failures](const Status& status) { failures += !status.ok(); }});
      queue->kick();
      while (queue->in_flight() > 0) queue->wait();
      queue->submit(
          {IoKind::flush, 0, {}, [&failures](const Status& status) { failures += !status.ok(); }});
      while (queue->in_flight() > 0) queue->wait();
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  for (unsigned t = 0; t < 4; ++t) {
    for (std::uint64_t i = 0; i < 128; ++i)
      CHECK(holds(*device, i * 4096 + t * 1024, 1024, static_cast<int>(t) + 1));
    CHECK(holds(*device, (t + 1) * 8 * kMiB + 512, 256 << 10, static_cast<int>(t) + 1));
  }
}

TEST_CASE("files that a crash left too short read as zeros behind their end, and are made whole") {
  const TemporaryDirectory dir;
  write_file(dir / "FILE0000", "");
  write_file(dir / "FILE0001", std::string(700, 'x'));
  write_file(dir / ".FILE0002.new", std::string(100, 'y'));
  const auto device = opened(tree(dir, kMiB, "&writes=in-place"));
  CHECK(holds(*device, 0, 4096, 0));
  CHECK(holds(*device, 4096, 512, 'x'));
  CHECK(holds(*device, 4096 + 1024, 3072, 0));
  CHECK(holds(*device, 8192, 4096, 0));
  REQUIRE(put(*device, 512, 512, 1).ok());
  REQUIRE(put(*device, 4096, 512, 2).ok());
  CHECK(fs::file_size(dir / "FILE0000") == 4096);
  CHECK(fs::file_size(dir / "FILE0001") == 4096);
}

TEST_CASE("a page that is replaced is whole under its name at all times") {
  const TemporaryDirectory dir;
  const auto device = opened(tree(dir, kMiB, "&writes=replace"));
  write_file(dir / ".FILE0000.new", "left by a crash");
  REQUIRE(put(*device, 0, 4096, 1).ok());
  struct stat before {
  }, after{};
  REQUIRE(::stat((dir / "FILE0000").c_str(), &before) == 0);
  REQUIRE(put(*device, 512, 512, 2).ok());
  REQUIRE(::stat((dir / "FILE0000").c_str(), &after) == 0);
  CHECK(before.st_ino != after.st_ino);
  CHECK(listing(dir.path()) == std::map<std::string, std::string>{{"FILE0000", "4096"}});
  CHECK(holds(*device, 0, 512, 1));
  CHECK(holds(*device, 512, 512, 2));
  CHECK(holds(*device, 1024, 3072, 1));
}

TEST_CASE("who has no permission is told so") {
  const TemporaryDirectory dir;
  const std::string name = tree(dir, kMiB);
  REQUIRE(put(*opened(name), 0, 4096, 1).ok());
  REQUIRE(::chmod(dir.path().c_str(), 0555) == 0);
  REQUIRE(::chmod((dir / "FILE0000").c_str(), 0) == 0);
  // As somebody who is not root, in a process of its own.
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::getuid() == 0 && ::setuid(65534) != 0) ::_exit(9);
    if (open_device(name, OpenMode::read_write).status().code() != Code::denied) ::_exit(1);
    auto reader = open_device(name, OpenMode::read_only);
    if (!reader.ok()) ::_exit(2);
    AlignedBuffer data(4096);
    const Status status = read_sync(**reader, 0, data.span());
    if (status.code() != Code::denied) ::_exit(3);
    ::_exit(status.message().find("FILE0000") != std::string::npos ? 0 : 4);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  REQUIRE(::chmod(dir.path().c_str(), 0700) == 0);
}

TEST_CASE("no space is told as that, and leaves no page that says nothing") {
  const TemporaryDirectory dir;
  if (::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
    WARN("no file system can be mounted here");
    return;
  }
  {
    const auto device = opened(tree(dir, kGiB));
    Status status;
    std::uint64_t pages = 0;
    for (; status.ok() && pages < 1000; ++pages) status = put(*device, pages * 4096, 4096, 1);
    CHECK(status.code() == Code::no_space);
    std::size_t files = 0;
    for (const auto& [path, what] : listing(dir.path())) files += what == "4096";
    CHECK(files == pages - 1);
    REQUIRE(put(*device, 0, 4096, 0).ok());
    CHECK(put(*device, 8192, 4096, 2).ok());
    CHECK(flush_sync(*device).ok());
  }
  REQUIRE(::umount(dir.path().c_str()) == 0);
}
