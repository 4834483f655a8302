// SPDX-License-Identifier: Apache-2.0
#include "store/open_device.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <system_error>
#include <vector>

#include "store/aio_device.h"
#include "store/block_tree_device.h"
#include "store/errno_status.h"

namespace csnap {
namespace {

constexpr std::uint64_t kFileSector = 512;

std::string directory_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The name is durable when the directory is.
Status sync_directory(const std::string& path) {
  const std::string directory = directory_of(path);
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno_status(errno, directory + ": cannot be opened");
  const int failed = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  // Some file systems have nothing to sync in a directory and say so.
  if (failed == 0 || failed == EINVAL) return Status();
  return errno_status(failed, directory + ": cannot be made durable");
}

// Blocks that a file system has set aside and not written are as slow to write for the first time
// as those that it has yet to find: only data makes them ready.
int write_zeros(int fd, std::uint64_t size, const std::function<void(double)>& filled) {
  const std::vector<std::byte> zeros(1u << 20);
  for (std::uint64_t at = 0; at < size;) {
    const ssize_t n = ::pwrite(fd, zeros.data(), std::min<std::uint64_t>(zeros.size(), size - at),
                               static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    at += static_cast<std::uint64_t>(n);
    filled(static_cast<double>(at) / static_cast<double>(size));
  }
  return 0;
}

Status create_tree(BlockTreePath tree, const std::string& path, std::uint64_t size, bool filled) {
  if (filled)
    return Status(Code::unsupported,
                  path +
                      ": a tree of block files has no files for pages of zeros; it cannot be "
                      "made full of them");
  if (tree.size != 0 && tree.size != size)
    return Status(Code::invalid, path + ": size= is not the size that it is to be made with, " +
                                     std::to_string(size));
  tree.size = size;
  return BlockTree::create(tree);
}

}  // namespace

bool names_block_tree(const std::string& name) {
  const auto tree = BlockTreePath::parse(name);
  return !tree.ok() || tree->has_value();
}

std::string absolute_device_name(const std::string& name) {
  const auto absolute = [](const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal().string();
  };
  auto tree = BlockTreePath::parse(name);
  if (!tree.ok()) return name;  // an error for whoever opens it
  if (!*tree) return absolute(name);
  (*tree)->directory = absolute((*tree)->directory);
  return (*tree)->to_string();
}

bool device_exists(const std::string& name) {
  const auto tree = BlockTreePath::parse(name);
  const std::string path = tree.ok() && *tree ? (*tree)->directory : name;
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 || errno != ENOENT;
}

void remove_device_file(const std::string& path) {
  const auto tree = BlockTreePath::parse(path);
  std::error_code ignored;
  if (tree.ok() && *tree)
    std::filesystem::remove_all((*tree)->directory, ignored);
  else
    ::unlink(path.c_str());
}

Result<std::unique_ptr<Device>> open_device(const std::string& path, OpenMode mode,
                                            unsigned queue_depth) {
  CSNAP_ASSIGN(const auto tree, BlockTreePath::parse(path));
  if (tree) {
    CSNAP_ASSIGN(auto device, BlockTreeDevice::open(*tree, mode != OpenMode::read_write));
    return std::unique_ptr<Device>(std::move(device));
  }
  CSNAP_ASSIGN(auto device, AioDevice::open(path, {.read_only = mode != OpenMode::read_write,
                                                   .inspect = mode == OpenMode::inspect,
                                                   .queue_depth = queue_depth}));
  return std::unique_ptr<Device>(std::move(device));
}

Status create_device_file(const std::string& path, std::uint64_t size,
                          const std::function<void(double)>& filled) {
  CSNAP_ASSIGN(const auto tree, BlockTreePath::parse(path));
  if (tree) return create_tree(*tree, path, size, filled != nullptr);
  const std::string what = path + ": cannot make a file of " + std::to_string(size) + " bytes";
  if (size == 0 || size % kFileSector != 0)
    return Status(Code::invalid, what + ": the size must be a multiple of 512");
  if (size > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()))
    return Status(Code::no_space, what + ": no file can be as large");
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno_status(errno, what);
  int error = 0;
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) error = errno;
  if (error == 0 && filled) error = write_zeros(fd, size, filled);
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  if (::close(fd) != 0 && error == 0) error = errno;
  Status status;
  if (error == EFBIG)
    status = Status(Code::no_space, what + ": the file system allows no file as large");
  else if (error != 0)
    status = errno_status(error, what);
  else
    status = sync_directory(path);
  if (!status.ok()) ::unlink(path.c_str());
  return status;
}

}  // namespace csnap
