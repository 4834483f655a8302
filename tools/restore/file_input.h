// SPDX-License-Identifier: Apache-2.0
// A dump in a file. What cannot be read twice (a pipe) is copied to a temporary file first.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "server/dump_reader.h"

namespace csnap {

class FileInput : public DumpInput {
 public:
  // path: empty for standard input.
  static Result<std::unique_ptr<FileInput>> open(const std::string& path);

  Result<bool> next(std::string& line) override;
  Status rewind() override;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Close>;
  FileInput(File file, std::string name);
  static Result<File> copy(std::FILE* from, const std::string& name);
  Result<bool> fill();

  File file_;
  std::string name_;
  std::vector<char> buffer_;
  std::size_t at_ = 0, end_ = 0;
};

}  // namespace csnap
