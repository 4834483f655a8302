// SPDX-License-Identifier: Apache-2.0
#include "store/device_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "store/aligned_buffer.h"
#include "store/errno_status.h"

namespace csnap {
namespace {

constexpr std::uint32_t kSmallAlignment = 512;
constexpr std::uint32_t kLargeAlignment = 4096;

Status wrong_type(const std::string& path, mode_t mode) {
  const char* what = "is neither a regular file nor a block device";
  if (S_ISDIR(mode)) what = "is a directory";
  if (S_ISCHR(mode)) what = "is a character device, not a block device";
  if (S_ISFIFO(mode)) what = "is a pipe, not a block device";
  if (S_ISSOCK(mode)) what = "is a socket, not a block device";
  return Status(Code::invalid, path + ": " + what);
}

Status open_error(const std::string& path, int error, bool read_only) {
  const std::string purpose = read_only ? "for reading" : "for reading and writing";
  switch (error) {
    case ENOENT:
      return Status(Code::not_found, path + ": does not exist");
    case EACCES:
    case EPERM:
      return Status(Code::denied, path + ": no permission to open it " + purpose);
    case EROFS:
      return Status(Code::denied, path + ": cannot be opened " + purpose +
                                      ": it is on a read-only file system or device");
    default:
      return errno_status(error, path + ": cannot be opened " + purpose);
  }
}

int open_retrying(const std::string& path, int flags) {
  int fd;
  do fd = ::open(path.c_str(), flags);
  while (fd < 0 && errno == EINTR);
  return fd;
}

// What the file system says about direct I/O; 0 when it does not say, or says there is none.
std::uint32_t reported_alignment(int fd, bool& none) {
  none = false;
#ifdef STATX_DIOALIGN
  struct statx info {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) != 0) return 0;
  if ((info.stx_mask & STATX_DIOALIGN) == 0) return 0;
  none = info.stx_dio_offset_align == 0;
  return std::max(info.stx_dio_mem_align, info.stx_dio_offset_align);
#else
  static_cast<void>(fd);
  return 0;
#endif
}

bool reads_in_sectors(int fd) {
  // Memory aligned to 512 and not to more, so that both rules are tried at once.
  AlignedBuffer buffer(2 * kSmallAlignment);
  return ::pread(fd, buffer.data() + kSmallAlignment, kSmallAlignment, kSmallAlignment) >= 0;
}

Status find_file_geometry(DeviceFile& file, const struct stat& info) {
  file.size = static_cast<std::uint64_t>(info.st_size);
  file.alignment = kSmallAlignment;
  if (!file.direct) return Status();
  bool none = false;
  const std::uint32_t reported = reported_alignment(file.fd, none);
  if (none) {
    const int flags = ::fcntl(file.fd, F_GETFL);
    if (flags < 0 || ::fcntl(file.fd, F_SETFL, flags & ~O_DIRECT) != 0)
      return errno_status(errno, file.path + ": cannot leave direct I/O");
    file.direct = false;
  } else if (reported > kLargeAlignment) {
    return Status(Code::unsupported, file.path + ": its direct I/O needs an alignment of " +
                                         std::to_string(reported) +
                                         " bytes; at most 4096 is supported");
  } else if (reported > kSmallAlignment || (reported == 0 && !reads_in_sectors(file.fd))) {
    file.alignment = kLargeAlignment;
  }
  return Status();
}

Status find_block_geometry(DeviceFile& file) {
  int sector = 0;
  if (::ioctl(file.fd, BLKGETSIZE64, &file.size) != 0)
    return errno_status(errno, file.path + ": cannot ask the block device for its size");
  if (::ioctl(file.fd, BLKSSZGET, &sector) != 0)
    return errno_status(errno, file.path + ": cannot ask the block device for its sector size");
  if (sector > static_cast<int>(kLargeAlignment))
    return Status(Code::unsupported, file.path + ": has sectors of " + std::to_string(sector) +
                                         " bytes; at most 4096 is supported");
  file.alignment = sector <= static_cast<int>(kSmallAlignment) ? kSmallAlignment : kLargeAlignment;
  return Status();
}

Status check_size(DeviceFile& file, bool inspect) {
  if (inspect) file.size -= file.size % file.alignment;
  if (file.size == 0) return Status(Code::invalid, file.path + ": is empty");
  if (file.size % file.alignment == 0) return Status();
  const std::uint64_t whole = (file.size / file.alignment + 1) * file.alignment;
  return Status(Code::invalid, file.path + ": its size of " + std::to_string(file.size) +
                                   " bytes is not a multiple of " + std::to_string(file.alignment) +
                                   "; if nothing of it is missing, make it larger: truncate -s " +
                                   std::to_string(whole) + " " + file.path);
}

}  // namespace

DeviceFile::~DeviceFile() {
  // Nothing is lost with the result: what had to be durable was flushed.
  if (fd >= 0) ::close(fd);
}

Result<std::shared_ptr<DeviceFile>> open_device_file(const std::string& path, bool read_only,
                                                     bool direct, bool inspect) {
  // Looked at first: opening a pipe could block, opening a tape could rewind it.
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return open_error(path, errno, read_only);
  if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode)) return wrong_type(path, info.st_mode);

  auto file = std::make_shared<DeviceFile>();
  file->path = path;
  file->read_only = read_only;
  file->direct = direct;
  const int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
  file->fd = open_retrying(path, direct ? flags | O_DIRECT : flags);
  if (file->fd < 0 && direct && errno == EINVAL) {
    file->direct = false;
    file->fd = open_retrying(path, flags);
  }
  if (file->fd < 0) return open_error(path, errno, read_only);
  if (::fstat(file->fd, &info) != 0) return errno_status(errno, path + ": cannot be examined");
  file->regular = S_ISREG(info.st_mode);
  if (file->regular)
    CSNAP_TRY(find_file_geometry(*file, info));
  else if (S_ISBLK(info.st_mode))
    CSNAP_TRY(find_block_geometry(*file));
  else
    return wrong_type(path, info.st_mode);
  CSNAP_TRY(check_size(*file, inspect));
  return file;
}

}  // namespace csnap
