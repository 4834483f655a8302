// SPDX-License-Identifier: Apache-2.0
// Columns for people to read. Threading: none of its own.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace csnap {

// A table without rules: a line of titles, then the rows, columns as wide as they need to be and
// two spaces apart. Width is counted in characters of UTF-8, not in bytes.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // REQUIRES: as many cells as there are columns.
  void add_row(std::vector<std::string> cells);
  std::size_t rows() const { return rows_.size(); }
  // Lines end with a newline and without trailing spaces.
  std::string to_string() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace csnap
