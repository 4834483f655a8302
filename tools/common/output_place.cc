// SPDX-License-Identifier: Apache-2.0
#include "tools/common/output_place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <utility>

#include "store/aligned_buffer.h"
#include "store/block_cache.h"
#include "store/errno_status.h"
#include "store/open_device.h"
#include "store/superblock.h"
#include "store/superblock_format.h"

namespace csnap {
namespace {

// Behind the superblocks, so that a store is known by its other blocks when both are gone.
constexpr std::uint64_t kBlocksLookedAt = 1024;

Status refused(const std::string& path, const std::string& why) {
  return Status(Code::invalid, path + " " + why + "; it stays as it is: name another file");
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// The file that a loop device, or a partition of one, is made of.
std::optional<struct stat> backing_file(const struct stat& device) {
  const std::string sys = "/sys/dev/block/" + std::to_string(major(device.st_rdev)) + ":" +
                          std::to_string(minor(device.st_rdev));
  for (const char* below : {"/loop/backing_file", "/../loop/backing_file"}) {
    std::ifstream in(sys + below);
    std::string file;
    struct stat st {};
    if (std::getline(in, file) && ::stat(file.c_str(), &st) == 0) return st;
  }
  return std::nullopt;
}

bool is_read_from(const struct stat& place, const std::string& input) {
  struct stat st {};
  if (::stat(input.c_str(), &st) != 0) return false;
  if (same_file(place, st)) return true;
  if (!S_ISBLK(st.st_mode)) return false;
  if (S_ISBLK(place.st_mode) && place.st_rdev == st.st_rdev) return true;
  const auto backing = backing_file(st);
  return backing && same_file(place, *backing);
}

bool is_metadata(ConstBlock block, BlockAddress address) {
  const auto& disk = view_as<SuperblockDisk>(block);
  if ((address == kSuperblockA || address == kSuperblockB) &&
      std::memcmp(disk.magic, kSuperblockMagic, sizeof disk.magic) == 0)
    return true;
  Uuid uuid;
  std::memcpy(uuid.bytes.data(), disk.header.uuid, uuid.bytes.size());
  return disk.header.address.get() == address.value && check_any_block(block, address, uuid).ok();
}

// Does anything in the file say that it belongs to a store?
Result<bool> holds_metadata(const std::string& path) {
  struct Descriptor {
    int fd;
    ~Descriptor() {
      if (fd >= 0) ::close(fd);
    }
  };
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return errno_status(errno, path + ": cannot be looked at");
  AlignedBuffer block(kBlockSize);
  for (BlockAddress at(0); at.value < kBlocksLookedAt; ++at) {
    const ssize_t n =
        ::pread(file.fd, block.data(), kBlockSize, static_cast<off_t>(at.value * kBlockSize));
    if (n < 0) return errno_status(errno, path + ": cannot be read");
    if (static_cast<std::size_t>(n) < kBlockSize) return false;
    if (is_metadata(block.span(), at)) return true;
  }
  return false;
}

bool is_copy(const std::string& path) {
  const auto device = open_device(path, OpenMode::read_only);
  if (!device.ok()) return false;
  const auto superblock = read_superblock(**device);
  return superblock.ok() && superblock->is_copy();
}

}  // namespace

// Whatever is there: it is nothing that must stay. REQUIRES: path_ is as the user gave it.
Status OutputPlace::look(const OutputRules& rules) {
  const std::string given = path_;
  struct stat st {};
  if (::stat(given.c_str(), &st) != 0) {
    if (errno != ENOENT) return errno_status(errno, given + ": cannot be examined");
    if (::lstat(given.c_str(), &st) == 0)
      return refused(given, "is a symbolic link to what is not there");
    return {};
  }
  for (const std::string& input : rules.inputs)
    if (is_read_from(st, input))
      return refused(given,
                     given == input ? "is what is to be read" : "is what is to be read, " + input);
  if (S_ISBLK(st.st_mode)) return refused(given, "is a device, not a file");
  if (S_ISDIR(st.st_mode)) return refused(given, "is a directory");
  there_ = true;
  device_ = st.st_dev;
  inode_ = st.st_ino;
  size_ = static_cast<std::uint64_t>(st.st_size);
  regular_ = S_ISREG(st.st_mode);
  if (!regular_) return {};
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(given.c_str(), nullptr),
                                                         &std::free);
  if (!real) return errno_status(errno, given + ": cannot be examined");
  path_ = real.get();
  struct stat out {};
  stdout_ = ::fstat(STDOUT_FILENO, &out) == 0 && same_file(st, out);
  auto lock = lock_device(path_);
  if (!lock.ok())
    return Status(lock.status().code(),
                  lock.status().message() + "; it stays as it is: name another file");
  lock_ = std::move(*lock);
  return {};
}

Result<OutputPlace> OutputPlace::for_text(const std::string& path, const OutputRules& rules) {
  OutputPlace place(path);
  CSNAP_TRY(place.look(rules));
  if (!place.there_ || !place.regular_) return place;
  CSNAP_ASSIGN(const bool metadata, holds_metadata(place.path_));
  if (metadata) return refused(path, "holds a csnap store, or metadata of one");
  if (rules.origin_size != 0 && place.size_ == rules.origin_size)
    return refused(path, "has just the size of the store's origin, and may be it");
  return place;
}

Result<OutputPlace> OutputPlace::for_metadata(const std::string& path, const OutputRules& rules,
                                              bool force) {
  OutputPlace place(path);
  CSNAP_TRY(place.look(rules));
  if (!place.there_) return place;
  if (!place.regular_) return refused(path, "is there and is no regular file");
  if (place.size_ == 0 ? force : force && is_copy(place.path_)) return place;
  CSNAP_ASSIGN(const bool metadata, holds_metadata(place.path_));
  if (metadata && !is_copy(place.path_))
    return refused(path, "holds a csnap store, or metadata of one that a server could use");
  if (!force)
    return Status(Code::exists,
                  path +
                      ": is there already; name another file, or use --force to replace it if "
                      "it is a copy that was made before");
  return refused(path,
                 "is no copy of metadata that was made before, and --force replaces nothing else");
}

Status OutputPlace::still_so() const {
  if (!regular_) return {};
  struct stat st {};
  const bool there = ::lstat(path_.c_str(), &st) == 0;
  if (there == there_ && (!there || (st.st_dev == device_ && st.st_ino == inode_))) return {};
  return Status(Code::stale, path_ + ": somebody else put something there meanwhile, which stays");
}

}  // namespace csnap
