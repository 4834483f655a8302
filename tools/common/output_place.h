// SPDX-License-Identifier: Apache-2.0
// What stands where a program is to make a file: may that be replaced? Never what is being read,
// under whatever name, nor what somebody has locked, nor a csnap store or its metadata.
// Threading: one thread. Errors: sentences for people; nothing is touched.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/device_identity.h"
#include "store/status.h"

namespace csnap {

struct OutputRules {
  std::vector<std::string> inputs;  // what is read meanwhile
  // Of the origin of the store that is read; 0: not known. A file of just this size may be it.
  std::uint64_t origin_size = 0;
};

// Locked while the object lives, if there is a file.
class OutputPlace {
 public:
  // For a file that anything can be read from later: what is not a regular file, nor a block
  // device, is written to as it is.
  static Result<OutputPlace> for_text(const std::string& path, const OutputRules& rules);
  // For the metadata of a store: a new file; with `force` instead of an empty one, or of a copy of
  // metadata that was made before. exists otherwise.
  static Result<OutputPlace> for_metadata(const std::string& path, const OutputRules& rules,
                                          bool force);

  const std::string& path() const { return path_; }  // symbolic links followed
  bool regular() const { return regular_; }          // a file, there or not
  bool is_stdout() const { return stdout_; }
  // Just before the file gets its name: is what is there still what was judged?
  Status still_so() const;

 private:
  explicit OutputPlace(const std::string& path) : path_(path) {}
  Status look(const OutputRules& rules);

  std::string path_;
  bool regular_ = true, stdout_ = false;
  std::optional<DeviceLock> lock_;
  bool there_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace csnap
