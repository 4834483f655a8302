// SPDX-License-Identifier: Apache-2.0
// Tables for people to read: columns as wide as what is in them, two spaces between. Pure.
#pragma once

#include <string>
#include <vector>

namespace csnap {

struct Column {
  std::string title;
  bool right = false;  // numbers
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as columns. Control characters are shown as '?'.
  void row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // Without a heading when no column has a title. Ends with a newline, no line with a space.
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace csnap
