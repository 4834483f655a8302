// SPDX-License-Identifier: Apache-2.0
// A file that is there under its name only when it is whole, and durable then; or standard output.
// Threading: one thread. Errors: io_error and no_space, sentences for people.
#pragma once

#include <string>
#include <string_view>

#include "store/status.h"

namespace csnap {

class OutputFile {
 public:
  // path: empty for standard output. The content goes to a new file beside it, which its owner only
  // may read; what is not a regular file is written to as it is.
  static Result<OutputFile> create(const std::string& path);
  ~OutputFile();  // without finish(): the new file goes
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  Status write(std::string_view bytes);
  // Brings it to the disk and gives it its name, instead of what had it.
  Status finish();

 private:
  OutputFile(int fd, std::string path, std::string temporary)
      : fd_(fd), path_(std::move(path)), temporary_(std::move(temporary)) {}
  Status failed(const char* what) const;

  int fd_;
  std::string path_;
  std::string temporary_;  // empty: written in place
};

}  // namespace csnap
