// SPDX-License-Identifier: Apache-2.0
#include "tools/restore/file_input.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace csnap {
namespace {

constexpr std::size_t kBuffer = 256u << 10;

Status failure(const char* what, const std::string& name) {
  return Status(errno == ENOENT ? Code::not_found : Code::io_error,
                std::string("cannot ") + what + " " + name + ": " + std::strerror(errno));
}

}  // namespace

FileInput::FileInput(File file, std::string name)
    : file_(std::move(file)), name_(std::move(name)), buffer_(kBuffer) {}

Result<std::unique_ptr<FileInput>> FileInput::open(const std::string& path) {
  const std::string name = path.empty() ? "standard input" : path;
  const int fd = path.empty() ? ::dup(STDIN_FILENO) : -1;
  File file(path.empty() ? (fd < 0 ? nullptr : ::fdopen(fd, "rb"))
                         : std::fopen(path.c_str(), "rb"));
  if (!file) return failure("open", name);
  if (std::fseek(file.get(), 0, SEEK_SET) != 0) {
    CSNAP_ASSIGN(file, copy(file.get(), name));
  }
  return std::unique_ptr<FileInput>(new FileInput(std::move(file), name));
}

Result<FileInput::File> FileInput::copy(std::FILE* from, const std::string& name) {
  File to(std::tmpfile());
  if (!to) return failure("make a temporary copy of", name);
  std::vector<char> buffer(kBuffer);
  for (;;) {
    const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), from);
    if (n == 0) break;
    if (std::fwrite(buffer.data(), 1, n, to.get()) != n)
      return failure("make a temporary copy of", name);
  }
  if (std::ferror(from)) return failure("read", name);
  if (std::fflush(to.get()) != 0) return failure("make a temporary copy of", name);
  return to;
}

Status FileInput::rewind() {
  at_ = end_ = 0;
  if (std::fseek(file_.get(), 0, SEEK_SET) != 0) return failure("read", name_);
  return {};
}

Result<bool> FileInput::fill() {
  at_ = 0;
  end_ = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
  if (end_ == 0 && std::ferror(file_.get())) return failure("read", name_);
  return end_ > 0;
}

Result<bool> FileInput::next(std::string& line) {
  line.clear();
  for (bool began = false;; began = true) {
    if (at_ == end_) {
      CSNAP_ASSIGN(const bool more, fill());
      if (!more) return began;
    }
    const char* from = buffer_.data() + at_;
    const auto* newline = static_cast<const char*>(std::memchr(from, '\n', end_ - at_));
    const std::size_t n = newline ? static_cast<std::size_t>(newline - from) : end_ - at_;
    if (line.size() + n > kMaxDumpLine)
      return Status(Code::corrupt, "a line of more than " + std::to_string(kMaxDumpLine) +
                                       " bytes: this is no dump");
    line.append(from, n);
    at_ += n + (newline != nullptr);
    if (newline) return true;
  }
}

}  // namespace csnap
