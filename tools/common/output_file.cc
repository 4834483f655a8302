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

Result<OutputFile> OutputFile::beside(OutputPlace place) {
  std::string temporary = place.path() + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return failure("make", place.path(), errno);
  const std::string name = place.path();
  return OutputFile(fd, temporary, name, std::move(place));
}

Result<OutputFile> OutputFile::create(const std::string& path, const OutputRules& rules) {
  if (path.empty()) return OutputFile(STDOUT_FILENO, "", "standard output", {});
  CSNAP_ASSIGN(OutputPlace place, OutputPlace::for_text(path, rules));
  if (place.is_stdout()) return OutputFile(STDOUT_FILENO, "", "standard output", {});
  if (place.regular()) return beside(std::move(place));
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return failure("write to", path, errno);
  return OutputFile(fd, "", path, {});
}

Result<OutputFile> OutputFile::create_metadata(const std::string& path, std::uint64_t size,
                                               const OutputRules& rules, bool force) {
  CSNAP_ASSIGN(OutputPlace place, OutputPlace::for_metadata(path, rules, force));
  CSNAP_ASSIGN(OutputFile file, beside(std::move(place)));
  if (::ftruncate(file.fd_, static_cast<off_t>(size)) != 0) return file.failed("make");
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      temporary_(std::exchange(other.temporary_, "")),
      name_(std::move(other.name_)),
      place_(std::move(other.place_)) {}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

Status OutputFile::failed(const char* what) const {
  return failure(what, name_, errno);
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
  CSNAP_TRY(place_->still_so());
  if (::rename(temporary_.c_str(), place_->path().c_str()) != 0) return failed("make");
  temporary_.clear();
  const std::size_t slash = name_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : name_.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed("make");
  const bool synced = ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  return synced ? Status() : failure("make", name_, error);
}

}  // namespace csnap
