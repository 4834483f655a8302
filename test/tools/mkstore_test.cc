// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "store/device_identity.h"
#include "store/open_device.h"
#include "tools/mkstore/make_store.h"
#include "tools/mkstore/report.h"
#include "tools/mkstore/signatures.h"

using namespace csnap;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;

struct Fixture {
  Fixture() {
    std::string pattern = (fs::temp_directory_path() / "mkstore-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    dir = pattern;
    options.origin = file("origin", 40 * kMiB);
    options.store = (dir / "store").string();
  }
  ~Fixture() { fs::remove_all(dir); }

  std::string file(const std::string& name, std::uint64_t size) {
    const fs::path path = dir / name;
    std::ofstream(path).close();
    fs::resize_file(path, size);
    return path.string();
  }
  void write(const std::string& path, std::uint64_t offset, const std::string& bytes) {
    std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(static_cast<std::streamoff>(offset));
    f << bytes;
    REQUIRE(f.good());
  }
  // Enough of an MBR for anybody to see a partition table in it.
  void put_partition_table(const std::string& path) {
    std::string sector(512, '\0');
    sector[446 + 4] = '\x83';
    sector[446 + 8] = 8;
    sector[446 + 12] = 64;
    sector[510] = '\x55';
    sector[511] = '\xaa';
    write(path, 0, sector);
  }
  Result<MadeStore> make() { return make_store(options, Uuid::from_random(1, ++made_)); }
  Superblock superblock(const std::string& path) {
    auto device = open_device(path, OpenMode::read_only);
    REQUIRE(device.ok());
    const auto s = read_superblock(**device);
    REQUIRE(s.ok());
    return *s;
  }
  std::optional<std::string> content(const std::string& path) {
    auto device = open_device(path, OpenMode::read_only);
    REQUIRE(device.ok());
    const auto found = find_content(path, **device);
    REQUIRE(found.ok());
    return *found;
  }

  fs::path dir;
  MkstoreOptions options;

 private:
  std::uint64_t made_ = 0;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a store file is made sparse, for its owner only, and holds the store") {
  options.size = 512 * kMiB;
  options.label = "büro";
  const auto made = make();
  REQUIRE(made.ok());
  CHECK(made->file_made);
  CHECK(superblock(options.store) == made->superblock);
  CHECK(made->superblock.label == "büro");
  CHECK(made->superblock.origin_size == 40 * kMiB);
  struct stat st {};
  REQUIRE(::stat(options.store.c_str(), &st) == 0);
  CHECK(st.st_size == 512 * static_cast<std::int64_t>(kMiB));
  CHECK(st.st_blocks * 512 < 4 * static_cast<std::int64_t>(kMiB));
  CHECK((st.st_mode & 077) == 0);
}

TEST_CASE_METHOD(Fixture, "a store file is made with all its blocks when that is asked for") {
  options.size = 16 * kMiB;
  options.preallocate = true;
  REQUIRE(make().ok());
  struct stat st {};
  REQUIRE(::stat(options.store.c_str(), &st) == 0);
  CHECK(st.st_blocks * 512 >= st.st_size);
  REQUIRE(superblock(options.store).store_chunks() > 0);
}

TEST_CASE_METHOD(Fixture, "a store that does not exist needs a size") {
  const auto made = make();
  CHECK(made.status().code() == Code::not_found);
  CHECK_THAT(made.status().message(), Catch::Contains("--size"));
}

TEST_CASE_METHOD(Fixture, "a store is not made over another unless forced") {
  options.size = 64 * kMiB;
  const auto first = make();
  REQUIRE(first.ok());
  const auto second = make();
  CHECK(second.status().code() == Code::exists);
  CHECK_THAT(second.status().message(),
             Catch::Contains(first->superblock.uuid.to_string()) && Catch::Contains("--force"));
  CHECK(superblock(options.store) == first->superblock);
  options.force = true;
  const auto third = make();
  REQUIRE(third.ok());
  CHECK(superblock(options.store).uuid != first->superblock.uuid);
}

TEST_CASE_METHOD(Fixture, "a store that is damaged is still not free for the taking") {
  options.size = 64 * kMiB;
  REQUIRE(make().ok());
  write(options.store, 4096 + 200, "damage");
  write(options.store, 1048576 + 200, "damage");
  CHECK(content(options.store) == "a damaged csnap store");
  write(options.store, 4096, std::string(4096, '\0'));
  write(options.store, 1048576, std::string(4096, '\0'));
  CHECK(content(options.store) == "a damaged csnap store");
  CHECK(make().status().code() == Code::exists);
}

TEST_CASE_METHOD(Fixture, "a partition table is refused, and gone when forced") {
  options.store = file("disk", 32 * kMiB);
  put_partition_table(options.store);
  const auto made = make();
  CHECK(made.status().code() == Code::exists);
  CHECK_THAT(made.status().message(), Catch::Contains("partition table"));
  options.force = true;
  REQUIRE(make().ok());
  REQUIRE(content(options.store).has_value());
  CHECK_THAT(*content(options.store), Catch::Contains("csnap store"));
  write(options.store, 4096, std::string(4 * kMiB, '\0'));
  CHECK(content(options.store) == std::nullopt);
}

TEST_CASE_METHOD(Fixture, "a file system is refused by its name") {
  options.store = file("disk", 32 * kMiB);
  write(options.store, 0, std::string("XFSB") + std::string("\0\0\x10\0", 4));
  write(options.store, 1024 + 56, "\x53\xef");  // ext2's magic
  write(options.store, 1024 + 24, std::string(1, '\2'));
  write(options.store, 1024 + 76, std::string(1, '\1'));
  const auto made = make();
  CHECK(made.status().code() == Code::exists);
  CHECK_THAT(made.status().message(), Catch::Contains(options.store + " holds a "));
}

TEST_CASE_METHOD(Fixture, "a store that a server has is refused, forced or not") {
  options.size = 64 * kMiB;
  const auto first = make();
  REQUIRE(first.ok());
  const auto lock = lock_device(options.store);
  REQUIRE(lock.ok());
  options.force = true;
  CHECK(make().status().code() == Code::busy);
  CHECK(superblock(options.store) == first->superblock);
}

TEST_CASE_METHOD(Fixture, "the origin is never written to") {
  options.force = true;
  options.store = options.origin;
  CHECK(make().status().code() == Code::invalid);
  options.store = (dir / "link").string();
  fs::create_symlink(options.origin, options.store);
  CHECK(make().status().code() == Code::invalid);
  options.store = (dir / "store").string();
  options.size = 64 * kMiB;
  options.metadata = options.origin;
  CHECK(make().status().code() == Code::invalid);
  CHECK_FALSE(fs::exists(options.store));
}

TEST_CASE_METHOD(Fixture, "a dry run says the same and changes nothing") {
  options.size = 64 * kMiB;
  options.dry_run = true;
  const auto dry = make();
  REQUIRE(dry.ok());
  CHECK_FALSE(fs::exists(options.store));
  options.dry_run = false;
  auto made = make();
  REQUIRE(made.ok());
  made->superblock.uuid = dry->superblock.uuid;
  CHECK(made->superblock == dry->superblock);
}

TEST_CASE_METHOD(Fixture, "a store that cannot be made leaves no file behind") {
  options.size = kMiB;
  const auto made = make();
  CHECK(made.status().code() == Code::no_space);
  CHECK_THAT(made.status().message(), Catch::Contains("too small"));
  CHECK_FALSE(fs::exists(options.store));
}

TEST_CASE_METHOD(Fixture, "the size of a store that exists is not changed") {
  options.store = file("disk", 32 * kMiB);
  options.size = 64 * kMiB;
  CHECK(make().status().code() == Code::exists);
  options.size = 32 * kMiB;
  CHECK(make().ok());
}

TEST_CASE_METHOD(Fixture, "metadata may lie elsewhere, and both devices say so") {
  options.size = 64 * kMiB;
  options.metadata = file("metadata", 16 * kMiB);
  options.chunk_shift = 16;
  const auto made = make();
  REQUIRE(made.ok());
  CHECK(superblock(options.metadata) == made->superblock);
  CHECK(made->superblock.separate_metadata);
  CHECK(content(options.store) == "the data of a csnap store");
  CHECK_THAT(report_text(options, *made), Catch::Contains("--metadata " + options.metadata));
  options.metadata = options.store;
  options.force = true;
  const auto twice = make();
  CHECK_FALSE(twice.ok());
}

TEST_CASE_METHOD(Fixture, "the report for people names the store and the next command") {
  options.size = 64 * kMiB;
  options.origin = file("my origin", 40 * kMiB);
  const auto made = make();
  REQUIRE(made.ok());
  const std::string text = report_text(options, *made);
  CHECK_THAT(text, Catch::Contains(made->superblock.uuid.to_string()));
  CHECK_THAT(text, Catch::Contains("Next: csnapd --origin '" + options.origin + "' --store "));
}

TEST_CASE_METHOD(Fixture, "the report for scripts is JSON with sizes in bytes") {
  options.size = 64 * kMiB;
  const auto made = make();
  REQUIRE(made.ok());
  const auto json = boost::json::parse(report_json(options, *made)).as_object();
  CHECK(json.at("uuid").as_string() == made->superblock.uuid.to_string());
  CHECK(json.at("chunk_size").to_number<std::uint64_t>() == 4096);
  CHECK(json.at("store").as_object().at("size").to_number<std::uint64_t>() == 64 * kMiB);
  CHECK(json.at("metadata").is_null());
  CHECK(json.at("capacity").to_number<std::uint64_t>() == made->superblock.data.free_chunks * 4096);
}

TEST_CASE("options are read, and nonsense is refused") {
  const auto good =
      parse_mkstore_options({"--size", "1G", "--chunk-size=64K", "--journal-size", "8M", "--label",
                             "x", "--force", "--dry-run", "--json", "--metadata", "m", "o", "s"});
  REQUIRE(good.ok());
  CHECK(good->size == 1024 * kMiB);
  CHECK(good->chunk_shift == 16);
  CHECK(good->journal_size == 8 * kMiB);
  CHECK(good->origin == "o");
  CHECK(good->store == "s");
  CHECK(good->metadata == "m");
  CHECK((good->force && good->dry_run && good->json));
  using Arguments = std::vector<std::string>;
  for (const Arguments& bad :
       {Arguments{}, Arguments{"o"}, Arguments{"o", "s", "x"},
        Arguments{"--chunk-size", "3K", "o", "s"}, Arguments{"--chunk-size", "2M", "o", "s"},
        Arguments{"--size", "0", "o", "s"}, Arguments{"--size", "5000", "o", "s"},
        Arguments{"--size", "big", "o", "s"}, Arguments{"--bogus", "o", "s"},
        Arguments{"--journal-size", "512K", "o", "s"}, Arguments{"--metadata", "", "o", "s"},
        Arguments{"--preallocate", "o", "s"}, Arguments{"", "s"}})
    CHECK(parse_mkstore_options(bad).status().code() == Code::invalid);
  CHECK(parse_mkstore_options({"--help"})->help);
  CHECK_THAT(mkstore_usage(), Catch::Contains("ORIGIN STORE"));
}

TEST_CASE_METHOD(Fixture,
                 "a store is made on a tree of block files, whose size is part of its name") {
  const std::string tree = "tree:" + (dir / "tree").string();
  const auto parsed = parse_mkstore_options({"--size", "64M", options.origin, tree});
  REQUIRE(parsed.ok());
  CHECK(parsed->store == tree + "?size=67108864");
  CHECK(parse_mkstore_options({"--size", "64M", "o", tree + "?size=1G"}).status().code() ==
        Code::invalid);
  options.store = tree;
  CHECK(make().status().code() == Code::not_found);
  options = *parsed;
  options.origin = tree + "?size=40M";
  CHECK_FALSE(make().ok());
  CHECK_FALSE(fs::exists(dir / "tree"));
  options = *parsed;
  options.preallocate = true;
  CHECK(make().status().code() == Code::unsupported);
  options.preallocate = false;
  options.journal_size = 1 << 30;
  CHECK_FALSE(make().ok());
  CHECK_FALSE(fs::exists(dir / "tree"));
  options.journal_size = 0;
  const auto made = make();
  REQUIRE(made.ok());
  CHECK(made->file_made);
  CHECK(superblock(options.store).uuid == made->superblock.uuid);
  CHECK_THAT(report_text(options, *made), Catch::Contains("'" + tree + "?size=67108864'"));
  CHECK(make().status().code() == Code::exists);
  options.origin = options.store;
  options.force = true;
  CHECK(make().status().code() == Code::invalid);
}

TEST_CASE_METHOD(Fixture, "what is on a tree is seen, and wiped") {
  const std::string image = file("image", 8 * kMiB), tree = "tree:" + (dir / "tree").string();
  const std::string name = tree + "?size=8M";
  REQUIRE(create_device_file(name, 8 * kMiB).ok());
  put_partition_table(image);
  std::string sector(512, '\0');
  std::ifstream(image, std::ios::binary).read(sector.data(), 512);
  auto device = open_device(name, OpenMode::read_write);
  REQUIRE(device.ok());
  REQUIRE(write_sync(**device, 0, std::as_bytes(std::span(sector))).ok());
  CHECK_THAT(content(name).value_or(""), Catch::Contains("partition table"));
  REQUIRE(wipe_signatures(name, **device).ok());
  CHECK_FALSE(content(name).has_value());
  std::string now(512, '\0');
  REQUIRE(read_sync(**device, 0, std::as_writable_bytes(std::span(now))).ok());
  sector[510] = sector[511] = '\0';
  CHECK(now == sector);
}
