// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <functional>

#include "test/stream/memory_target.h"
#include "tools/stream/stream_writer.h"

namespace csnap {
namespace {

constexpr std::size_t kSize = 16'384;
constexpr StreamIdentity kParent{Uuid{{1}}, 7};
constexpr StreamIdentity kChild{Uuid{{2}}, 9};

// Commands with any attributes, under a right checksum.
class AnyCommand {
 public:
  AnyCommand(std::vector<std::byte>& out, CommandType type) : out_(out), begin_(out.size()) {
    CommandHeaderDisk header{};
    header.command.set(static_cast<std::uint16_t>(type));
    const auto raw = std::as_bytes(std::span(&header, 1));
    out_.insert(out_.end(), raw.begin(), raw.end());
    seal();
  }
  AnyCommand& put(Attribute type, std::string_view text) {
    AttributeHeaderDisk header;
    header.type.set(static_cast<std::uint16_t>(type));
    header.length.set(static_cast<std::uint16_t>(text.size()));
    const auto raw = std::as_bytes(std::span(&header, 1));
    out_.insert(out_.end(), raw.begin(), raw.end());
    const auto bytes = std::as_bytes(std::span(text));
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    seal();
    return *this;
  }
  AnyCommand& put(Attribute type, std::uint64_t number) {
    Le64 value;
    value.set(number);
    return put(type, std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
  }
  AnyCommand& put(const StreamIdentity& identity, Attribute uuid, Attribute ctransid) {
    put(uuid, std::string_view(reinterpret_cast<const char*>(identity.uuid.bytes.data()), 16));
    return put(ctransid, identity.ctransid);
  }

 private:
  void seal() {
    const auto command = std::span(out_).subspan(begin_);
    auto& header = view_as<CommandHeaderDisk>(command);
    header.length.set(static_cast<std::uint32_t>(command.size() - sizeof header));
    header.crc.set(command_checksum(command));
  }
  std::vector<std::byte>& out_;
  const std::size_t begin_;
};

struct ApplierRig {
  std::vector<std::byte> out;
  StreamWriter writer{out};
  MemoryTarget target{kSize};

  ApplierRig() { writer.header(); }
  void full() {
    writer.subvolume("full", kParent);
    writer.make_file("f");
  }
  void fill(std::uint64_t offset, std::size_t length, unsigned value, const char* path = "f") {
    writer.write(path, offset, std::vector<std::byte>(length, static_cast<std::byte>(value)));
  }
  AnyCommand any(CommandType type) { return AnyCommand(out, type); }
  void rename(const char* from, const char* to) {
    any(CommandType::rename).put(Attribute::path, from).put(Attribute::path_to, to);
  }
  void clone(const StreamIdentity& from, const char* path, std::uint64_t from_offset,
             std::uint64_t offset, std::uint64_t length) {
    any(CommandType::clone)
        .put(Attribute::path, "f")
        .put(Attribute::file_offset, offset)
        .put(Attribute::clone_length, length)
        .put(from, Attribute::clone_uuid, Attribute::clone_ctransid)
        .put(Attribute::clone_path, path)
        .put(Attribute::clone_offset, from_offset);
  }
  Status apply(StreamCounts* counts = nullptr) {
    StreamApplier applier(target);
    const Status status = apply_stream(out, SIZE_MAX, applier);
    if (counts) *counts = applier.counts();
    CHECK_FALSE(target.out_of_bounds);
    return status;
  }
  int at(std::size_t i) const { return std::to_integer<int>(target.content[i]); }
};

}  // namespace

TEST_CASE("a file that is made under another name and renamed is the volume") {
  ApplierRig rig;
  rig.writer.subvolume("full", kParent);
  rig.any(CommandType::chown).put(Attribute::path, "").put(Attribute::uid, 0u);
  rig.writer.make_file("o257-7-0");
  rig.any(CommandType::make_dir).put(Attribute::path, "o258-7-0");
  rig.rename("o258-7-0", "dir");
  rig.rename("o257-7-0", "dir/volume.img");
  rig.fill(4096, 10, 5, "dir/volume.img");
  rig.rename("dir", "folder");
  rig.fill(8192, 10, 6, "folder/volume.img");
  rig.writer.truncate("folder/volume.img", kSize);
  rig.any(CommandType::set_xattr).put(Attribute::path, "folder/volume.img");
  rig.writer.end();
  StreamCounts counts;
  const Status status = rig.apply(&counts);
  INFO(status.to_string());
  REQUIRE(status.ok());
  CHECK(rig.target.snapshots[0].path == "folder/volume.img");
  CHECK(rig.at(4096) == 5);
  CHECK(rig.at(8192) == 6);
  CHECK(counts.ignored == 4);
  CHECK(counts.writes == 2);
}

TEST_CASE("a hard link is the same file, and it lives until its last name goes") {
  ApplierRig rig;
  rig.full();
  rig.fill(0, 10, 1);
  rig.any(CommandType::link).put(Attribute::path, "g").put(Attribute::path_link, "f");
  rig.any(CommandType::unlink).put(Attribute::path, "f");
  rig.fill(10, 10, 2, "g");
  rig.writer.truncate("g", kSize);
  rig.writer.end();
  REQUIRE(rig.apply().ok());
  CHECK(rig.target.snapshots[0].path == "g");
  CHECK(rig.at(0) == 1);
  CHECK(rig.at(19) == 2);
}

TEST_CASE("a file that is removed and made anew begins as zeros") {
  ApplierRig rig;
  rig.full();
  rig.fill(0, kSize, 1);
  rig.any(CommandType::unlink).put(Attribute::path, "f");
  rig.writer.make_file("f");
  rig.fill(100, 10, 2);
  rig.writer.truncate("f", kSize);
  rig.writer.end();
  REQUIRE(rig.apply().ok());
  CHECK(rig.at(0) == 0);
  CHECK(rig.at(100) == 2);
  CHECK(rig.at(kSize - 1) == 0);
}

TEST_CASE("what is cut off by TRUNCATE reads as zeros when the file grows again") {
  ApplierRig rig;
  rig.full();
  rig.fill(0, kSize, 1);
  rig.writer.truncate("f", 1000);
  rig.writer.truncate("f", kSize);
  rig.writer.end();
  REQUIRE(rig.apply().ok());
  CHECK(rig.at(999) == 1);
  CHECK(rig.at(1000) == 0);
  CHECK(rig.at(kSize - 1) == 0);
}

TEST_CASE("CLONE takes from the file as it is, and from snapshots received before") {
  ApplierRig rig;
  rig.full();
  rig.fill(0, kSize, 1);
  rig.writer.end();
  rig.writer.header();
  rig.writer.snapshot("child", kChild, kParent);
  rig.fill(0, 4096, 2);
  rig.clone(kChild, "f", 0, 8192, 4096);    // itself
  rig.clone(kParent, "f", 0, 12'288, 100);  // its parent
  rig.writer.end();
  StreamCounts counts;
  const Status status = rig.apply(&counts);
  INFO(status.to_string());
  REQUIRE(status.ok());
  CHECK(rig.at(8192) == 2);
  CHECK(rig.at(12'288) == 1);
  CHECK(counts.clones == 2);
  CHECK(counts.cloned_bytes == 4196);
  CHECK(rig.target.snapshots.size() == 2);
}

TEST_CASE("a stream that goes on needs no file to be made") {
  ApplierRig rig;
  rig.target.path = "f";
  rig.writer.snapshot("full", kParent, kParent, 8192);
  rig.fill(8192, 10, 3);
  rig.writer.truncate("f", kSize);
  rig.writer.end();
  REQUIRE(rig.apply().ok());
  CHECK(rig.target.begun.from == 8192);
  CHECK_FALSE(rig.target.begun.parent);
  CHECK(rig.at(8192) == 3);
}

TEST_CASE("a stream may call the file of its parent otherwise") {
  ApplierRig rig;
  rig.target.path = "a";
  rig.target.snapshots.push_back({"full", kParent, "a", std::vector<std::byte>(kSize)});
  SECTION("in a change") {
    rig.writer.snapshot("child", kChild, kParent);
  }
  SECTION("in what goes on") {
    rig.writer.snapshot("child", kChild, kChild, 0);
  }
  rig.fill(0, 10, 3, "b");
  rig.writer.truncate("b", kSize);
  rig.rename("b", "c");
  rig.fill(4096, 10, 4, "c");
  rig.writer.end();
  const Status status = rig.apply();
  INFO(status.to_string());
  REQUIRE(status.ok());
  CHECK(rig.at(0) == 3);
  CHECK(rig.at(4096) == 4);
  CHECK(rig.target.snapshots[1].path == "c");
}

TEST_CASE("a file of two names is no volume, and one that is gone is not written to") {
  ApplierRig rig;
  rig.target.snapshots.push_back({"full", kParent, "a", std::vector<std::byte>(kSize)});
  rig.writer.snapshot("child", kChild, kParent);
  Code expected = Code::unsupported;
  SECTION("two names") {
    rig.any(CommandType::link).put(Attribute::path, "b").put(Attribute::path_link, "a");
  }
  SECTION("none") {
    rig.any(CommandType::unlink).put(Attribute::path, "a");
  }
  SECTION("none, and written to") {
    rig.any(CommandType::unlink).put(Attribute::path, "a");
    rig.fill(0, 10, 3, "b");
    expected = Code::corrupt;
  }
  rig.writer.end();
  CHECK(rig.apply().code() == expected);
  CHECK(rig.target.snapshots.size() == 1);
}

TEST_CASE("a rename that is told again is none") {
  ApplierRig rig;
  rig.target.path = "b";
  rig.writer.snapshot("child", kChild, kChild, 4096);
  rig.fill(4096, 10, 3, "a");
  rig.rename("a", "b");
  rig.fill(8192, 10, 4, "b");
  rig.writer.end();
  REQUIRE(rig.apply().ok());
  CHECK(rig.target.snapshots[0].path == "b");
}

TEST_CASE("a file that is made anew has the names that it is given") {
  ApplierRig rig;
  rig.target.snapshots.push_back({"full", kParent, "a", std::vector<std::byte>(kSize)});
  rig.writer.snapshot("child", kChild, kParent);
  rig.any(CommandType::unlink).put(Attribute::path, "a");
  rig.writer.make_file("b");
  rig.fill(0, 10, 3, "a");
  rig.writer.end();
  CHECK(rig.apply().code() == Code::corrupt);
  CHECK(rig.target.snapshots.size() == 1);
}

TEST_CASE("what contradicts itself or fits no volume is refused") {
  ApplierRig rig;
  Code expected = Code::corrupt;
  SECTION("a command before any snapshot") {
    rig.writer.make_file("f");
  }
  SECTION("END before any snapshot") {
    rig.writer.end();
  }
  SECTION("a snapshot in a snapshot") {
    rig.full();
    rig.full();
  }
  SECTION("a snapshot that is its own parent") {
    rig.writer.snapshot("s", kChild, kChild);
  }
  SECTION("one that goes on beyond the volume") {
    rig.writer.snapshot("s", kChild, kChild, kSize + 1);
  }
  SECTION("one that goes on with another") {
    rig.writer.snapshot("s", kChild, kParent, 0);
  }
  SECTION("no UUID") {
    rig.any(CommandType::subvolume).put(Attribute::path, "s");
  }
  SECTION("the nil UUID") {
    rig.writer.subvolume("s", {Uuid{}, 1});
  }
  SECTION("a UUID that is too short") {
    rig.any(CommandType::subvolume).put(Attribute::path, "s").put(Attribute::uuid, "short");
  }
  SECTION("a name that is a path") {
    rig.writer.subvolume(GENERATE("a/b", "..", ".", "", "/", "a/"), kParent);
  }
  SECTION("a path out of the subvolume") {
    rig.writer.subvolume("s", kParent);
    rig.writer.make_file(GENERATE("../f", "/etc/passwd", "a/../b", "a//b", "a/.", "", "a/"));
  }
  SECTION("a path with a zero byte") {
    rig.writer.subvolume("s", kParent);
    rig.writer.make_file(std::string_view("a\0b", 3));
  }
  SECTION("a path that is too long") {
    rig.writer.subvolume("s", kParent);
    rig.writer.make_file(std::string(256, 'a'));
  }
  SECTION("WRITE to what is no file") {
    rig.full();
    rig.fill(0, 1, 1, "g");
  }
  SECTION("WRITE without an offset") {
    rig.full();
    rig.any(CommandType::write).put(Attribute::path, "f").put(Attribute::data, "x");
  }
  SECTION("a number of four bytes") {
    rig.full();
    rig.any(CommandType::truncate).put(Attribute::path, "f").put(Attribute::size, "four");
  }
  SECTION("RENAME onto the file") {
    rig.full();
    rig.rename("g", "f");
    rig.any(CommandType::link).put(Attribute::path, "h").put(Attribute::path_link, "f");
    rig.rename("f", "h");
  }
  SECTION("CLONE of a range onto itself") {
    rig.full();
    rig.fill(0, kSize, 1);
    rig.clone(kParent, "f", 0, 100, 200);
  }
  SECTION("a volume that is too large") {
    rig.full();
    const auto [offset, length] = GENERATE(std::pair<std::uint64_t, std::size_t>(kSize, 1),
                                           std::pair<std::uint64_t, std::size_t>(kSize - 1, 2),
                                           std::pair<std::uint64_t, std::size_t>(~0ull, 2));
    rig.fill(offset, length, 1);
    expected = Code::unsupported;
  }
  SECTION("TRUNCATE beyond the volume") {
    rig.full();
    rig.writer.truncate("f", kSize + 1);
    expected = Code::unsupported;
  }
  SECTION("a volume that is too small") {
    rig.full();
    rig.writer.truncate("f", kSize - 1);
    rig.writer.end();
    expected = Code::unsupported;
  }
  SECTION("no file") {
    rig.writer.subvolume("s", kParent);
    rig.writer.end();
    expected = Code::unsupported;
  }
  SECTION("two files") {
    rig.full();
    rig.writer.make_file("g");
    expected = Code::unsupported;
  }
  SECTION("extents without data") {
    rig.full();
    rig.any(CommandType::update_extent).put(Attribute::path, "f");
    expected = Code::unsupported;
  }
  SECTION("more names than anybody needs") {
    rig.full();
    for (int i = 0; i < 64; ++i)
      rig.any(CommandType::link)
          .put(Attribute::path, "n" + std::to_string(i))
          .put(Attribute::path_link, "f");
    expected = Code::unsupported;
  }
  const Status status = rig.apply();
  INFO(status.to_string());
  CHECK(status.code() == expected);
  CHECK(rig.target.snapshots.empty());
}

}  // namespace csnap
