// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "test/store/temporary.h"
#include "tools/common/json.h"
#include "tools/common/output_file.h"
#include "tools/common/table.h"

using namespace csnap;

TEST_CASE("a table's columns line up, also under letters of several bytes") {
  Table table({{"NAME", false}, {"SIZE", true}, {"NOTE", false}});
  table.row({"büro", "7", ""});
  table.row({"a", "1234567", "x"});
  CHECK(table.text() ==
        "NAME     SIZE  NOTE\n"
        "büro        7\n"
        "a     1234567  x\n");
}

TEST_CASE("a table without titles has no heading") {
  Table table({{"", false}, {"", false}});
  CHECK(table.empty());
  CHECK(table.text().empty());
  table.row({"key", "value"});
  CHECK(table.text() == "key  value\n");
}

TEST_CASE("a table does not pass control characters on to the terminal") {
  Table table({{"", false}});
  table.row({"a\x1b[2J\nb"});
  CHECK(table.text() == "a?[2J?b\n");
}

TEST_CASE("JSON is indented, keeps the order of keys, and escapes") {
  boost::json::object object;
  object["b"] = "say \"hi\"\n";
  object["a"] = boost::json::array{1, boost::json::object{}, boost::json::array{}};
  object["n"] = nullptr;
  CHECK(to_json_text(object) ==
        "{\n"
        "  \"b\": \"say \\\"hi\\\"\\n\",\n"
        "  \"a\": [\n"
        "    1,\n"
        "    {},\n"
        "    []\n"
        "  ],\n"
        "  \"n\": null\n"
        "}\n");
}

namespace {

std::string content_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("an output file replaces what was there when it is whole, and follows symbolic links") {
  const test::TemporaryDirectory folder;
  const std::string path = folder.file("there", 100);
  std::filesystem::create_symlink(path, folder / "link");
  {
    auto unfinished = OutputFile::create(folder / "link");
    REQUIRE(unfinished.ok());
    REQUIRE(unfinished->write("half").ok());
  }
  CHECK(std::filesystem::file_size(path) == 100);
  auto file = OutputFile::create(folder / "link");
  REQUIRE(file.ok());
  REQUIRE(file->write("whole").ok());
  REQUIRE(file->finish().ok());
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(content_of(path) == "whole");
}

TEST_CASE("an output file does not replace what somebody puts there meanwhile") {
  const test::TemporaryDirectory folder;
  const bool there = GENERATE(false, true);
  const std::string path = there ? folder.file("a", 10) : folder / "a";
  auto file = OutputFile::create(path);
  REQUIRE(file.ok());
  REQUIRE(file->write("ours").ok());
  std::ofstream(folder / "b") << "theirs";
  std::filesystem::rename(folder / "b", path);
  CHECK(file->finish().code() == Code::stale);
  CHECK(content_of(path) == "theirs");
}

TEST_CASE("a file of just the origin's size is not written over") {
  const test::TemporaryDirectory folder;
  const std::string path = folder.file("a", 1 << 20);
  CHECK(OutputFile::create(path, {{}, 1 << 20}).status().code() == Code::invalid);
  CHECK(OutputFile::create(path, {{}, 2 << 20}).ok());
}

TEST_CASE("metadata replaces nothing but an empty file, and that only with force") {
  const test::TemporaryDirectory folder;
  const std::string empty = folder.file("empty", 0), full = folder.file("full", 1 << 21);
  const auto code = [](const std::string& path, bool force) {
    return OutputFile::create_metadata(path, 8192, {}, force).status().code();
  };
  CHECK(code(empty, false) == Code::exists);
  CHECK(code(empty, true) == Code::ok);
  CHECK(code(full, false) == Code::exists);
  CHECK(code(full, true) == Code::invalid);
  CHECK(code(folder / "new", false) == Code::ok);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
}
