// SPDX-License-Identifier: Apache-2.0
#include "tools/common/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace csnap {
namespace {

Status failure(const char* what, const std::string& path, int error) {
  return Status(error == ENOSPC ? Code::no_space : Code::io_error,
                std::string("cannot ") + what + " " + path + ": " + std::strerror(error));
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& path) {
  if (path.empty()) return OutputFile(STDOUT_FILENO, "standard output", "");
  struct stat st {};
  if (::stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode)) {
    if (S_ISBLK(st.st_mode))
      return Status(Code::invalid, path + " is a device; the output is a file");
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return failure("write to", path, errno);
    return OutputFile(fd, path, "");
  }
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return failure("make", path, errno);
  return OutputFile(fd, path, temporary);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")) {}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

Status OutputFile::failed(const char* what) const {
  return failure(what, path_, errno);
}

Status OutputFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("write to");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Status OutputFile::finish() {
  if (temporary_.empty()) return {};
  if (::fsync(fd_) != 0) return failed("write to");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("make");
  temporary_.clear();
  const std::size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed("make");
  const bool synced = ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  return synced ? Status() : failure("make", path_, error);
}

}  // namespace csnap
