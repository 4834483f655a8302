// SPDX-License-Identifier: Apache-2.0
#include "store/directory_names.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "store/errno_status.h"

namespace csnap {

Result<std::vector<std::string>> names_in(int at, const std::string& path,
                                          const std::string& whole) {
  const int fd = ::openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno_status(errno, whole + ": cannot be opened");
  DIR* directory = ::fdopendir(fd);
  if (directory == nullptr) {
    const int error = errno;
    ::close(fd);
    return errno_status(error, whole + ": cannot be listed");
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) names.emplace_back(entry->d_name);
  const int error = errno;
  ::closedir(directory);
  if (error != 0) return errno_status(error, whole + ": cannot be listed");
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace csnap
