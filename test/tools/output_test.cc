// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tools/common/json.h"
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
