// SPDX-License-Identifier: Apache-2.0
// A file that is there under its name only when it is whole, and durable then; or standard output.
// Threading: one thread. Errors: io_error, no_space, those of OutputPlace; sentences for people.
#pragma once

#include <string>
#include <string_view>

#include "store/status.h"
#include "tools/common/output_place.h"

namespace csnap {

class OutputFile {
 public:
  // path: empty for standard output. The content goes to a new file beside it, which its owner only
  // may read; what is not a regular file is written to as it is.
  static Result<OutputFile> create(const std::string& path, const OutputRules& rules = {});
  // For the metadata of a store, a sparse file of this size: to be written under temporary().
  static Result<OutputFile> create_metadata(const std::string& path, std::uint64_t size,
                                            const OutputRules& rules, bool force);
  ~OutputFile();  // without finish(): the new file goes
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  // What it is called until finish().
  const std::string& temporary() const { return temporary_; }
  Status write(std::string_view bytes);
  // Brings it to the disk and gives it its name, instead of what had it.
  Status finish();

 private:
  OutputFile(int fd, std::string temporary, std::string name, std::optional<OutputPlace> place)
      : fd_(fd),
        temporary_(std::move(temporary)),
        name_(std::move(name)),
        place_(std::move(place)) {}
  static Result<OutputFile> beside(OutputPlace place);
  Status failed(const char* what) const;

  int fd_;
  std::string temporary_;  // empty: written in place
  std::string name_;
  std::optional<OutputPlace> place_;  // none: standard output
};

}  // namespace csnap
