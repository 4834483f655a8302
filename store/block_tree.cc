// SPDX-License-Identifier: Apache-2.0
#include "store/block_tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "store/errno_status.h"
#include "store/zeros.h"

namespace csnap {
namespace {

// An errno, or 0. What lies beyond the end of the file reads as zeros.
int read_fully(int fd, std::size_t offset, std::span<std::byte> data) {
  while (!data.empty()) {
    const ssize_t n = ::pread(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) break;
    data = data.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::size_t>(n);
  }
  std::fill(data.begin(), data.end(), std::byte{0});
  return 0;
}

int write_fully(int fd, std::size_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t n = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    data = data.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::size_t>(n);
  }
  return 0;
}

// Whoever owns the tree must not have us write somewhere else.
int open_without_links(int at, const std::string& path, int flags, mode_t mode = 0) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_NO_SYMLINKS;
  return static_cast<int>(::syscall(SYS_openat2, at, path.c_str(), &how, sizeof how));
}

}  // namespace

Status BlockTree::failure(const char* what, const std::string& file, int error) const {
  const std::string place = name_ + ": cannot " + what + " " + (file.empty() ? "." : file);
  switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
      return Status(Code::denied, place + ": " + errno_text(error) +
                                      "; give this user permission for the files of the tree");
    case ENOSPC:
    case EDQUOT:
      return Status(Code::no_space, place + ": " + errno_text(error) +
                                        "; the file system of the tree is full, or has no "
                                        "inode left");
    case ELOOP:
      return Status(Code::invalid, place +
                                       ": it is a symbolic link, or below one, which a tree "
                                       "has not");
    case EMFILE:
    case ENFILE:
      return Status(Code::io_error,
                    place + ": " + errno_text(error) + "; raise the limit with ulimit -n");
    default:
      return Status(Code::io_error, place + ": " + errno_text(error));
  }
}

bool BlockTree::whole(std::uint64_t page, std::size_t within, std::size_t length) const {
  return within == 0 && (length == layout_.page() || page * layout_.page() + length == size());
}

// -- opening files --------------------------------------------------------------------------------

std::uint64_t BlockTree::directory_key(unsigned level, std::uint64_t page) const {
  return page >> (kTreeFanBits * (layout_.levels() + 1 - level));
}

// A descriptor, or a negative errno. A directory that is kept open may have been removed, and made
// again, by another process: only the way from the top says that a file is not there.
int BlockTree::open_file(std::uint64_t page, const std::string& name, int flags) {
  flags |= O_CLOEXEC;
  const std::uint64_t key = directory_key(layout_.levels(), page);
  const OpenFilePtr directory = directories_.get(key);
  for (bool tried_again = false;;) {
    int fd = -1;
    if (directory) fd = ::openat(directory->fd(), name.c_str(), flags | O_NOFOLLOW, 0600);
    if (!directory || (fd < 0 && errno == ENOENT)) {
      const std::string path =
          layout_.levels() == 0 ? name : layout_.directory_of(page) + "/" + name;
      fd = open_without_links(root_, path, flags, 0600);
      if (directory && fd >= 0) directories_.forget(key);
    }
    if (fd >= 0) return fd;
    const int error = errno;
    if (error == EINTR) continue;
    if ((error != EMFILE && error != ENFILE) || tried_again) return -error;
    tried_again = true;
    files_.clear();
    directories_.clear();
  }
}

// The directory is kept when it is wanted a second time: not for single pages here and there.
void BlockTree::keep(std::uint64_t page, OpenFilePtr file) {
  files_.put(page, std::move(file));
  const std::uint64_t key = directory_key(layout_.levels(), page);
  if (layout_.levels() == 0 || !local_ || last_directory_.exchange(key) != key ||
      directories_.get(key))
    return;
  const int directory =
      open_without_links(root_, layout_.directory_of(page), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) directories_.put(key, std::make_shared<const OpenFile>(directory));
}

Result<BlockTree::Found> BlockTree::find(std::uint64_t page) {
  if (auto file = files_.get(page)) return Found{std::move(file), true};
  const int fd = open_file(page, layout_.file_name(page), read_only_ ? O_RDONLY : O_RDWR);
  if (fd == -ENOENT) return Found{};
  if (fd < 0) return failure("open", layout_.path_of(page), -fd);
  auto file = std::make_shared<const OpenFile>(fd);
  keep(page, file);
  return Found{std::move(file), false};
}

Status BlockTree::make_directories(std::uint64_t page) {
  for (unsigned level = 1; level <= layout_.levels(); ++level) {
    const std::string path = layout_.directory_of(page, level);
    if (::mkdirat(root_, path.c_str(), 0700) == 0) {
      directory_changed(level - 1, page);
    } else if (errno == ENOENT && level > 1) {
      level = 0;  // somebody removed the one above, which was empty: from the start
    } else if (errno != EEXIST) {
      return failure("make", path, errno);
    }
  }
  return {};
}

// Makes the file and the directories that it takes, unless they are there.
Result<OpenFilePtr> BlockTree::open_or_make(std::uint64_t page, const std::string& name,
                                            int flags) {
  for (;;) {
    const int fd = open_file(page, name, flags | O_RDWR | O_CREAT);
    if (fd >= 0) return std::make_shared<const OpenFile>(fd);
    if (fd != -ENOENT || layout_.levels() == 0) return failure("open", layout_.path_of(page), -fd);
    CSNAP_TRY(make_directories(page));
  }
}

// -- reading --------------------------------------------------------------------------------------

Status BlockTree::read_page(std::uint64_t page, std::size_t within, std::span<std::byte> data) {
  for (;;) {
    CSNAP_ASSIGN(const Found found, find(page));
    if (!found.file) {
      std::fill(data.begin(), data.end(), std::byte{0});
      return {};
    }
    if (const int error = read_fully(found.file->fd(), within, data); error != 0)
      return failure("read", layout_.path_of(page), error);
    struct stat info {};
    if (!found.cached || (::fstat(found.file->fd(), &info) == 0 && info.st_nlink > 0)) return {};
    files_.forget(page);
  }
}

Status BlockTree::read(std::uint64_t offset, std::span<std::byte> data) {
  while (!data.empty()) {
    const std::size_t within = offset % layout_.page();
    const std::size_t length = std::min<std::size_t>(data.size(), layout_.page() - within);
    CSNAP_TRY(read_page(offset / layout_.page(), within, data.first(length)));
    data = data.subspan(length);
    offset += length;
  }
  return {};
}

// -- writing --------------------------------------------------------------------------------------

Status BlockTree::write(std::uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const std::size_t within = offset % layout_.page();
    const std::size_t length = std::min<std::size_t>(data.size(), layout_.page() - within);
    CSNAP_TRY(write_page(offset / layout_.page(), within, data.first(length)));
    data = data.subspan(length);
    offset += length;
  }
  return {};
}

Status BlockTree::write_page(std::uint64_t page, std::size_t within,
                             std::span<const std::byte> data) {
  const std::lock_guard lock(locks_[page % kLocks]);
  const bool zero = all_zero(data);
  if (zero && whole(page, within, data.size())) return remove(page);
  for (;;) {
    if (zero || replace_) {
      CSNAP_ASSIGN(const Found found, find(page));
      if (!found.file && zero) return {};
      if (replace_) return replace(page, within, data);
    }
    const OpenFilePtr file = files_.get(page);
    CSNAP_ASSIGN(const Outcome outcome,
                 file ? overwrite(page, *file, within, data) : open_and_write(page, within, data));
    if (outcome == Outcome::done) return {};
  }
}

// again: it was removed, or replaced.
Result<BlockTree::Outcome> BlockTree::overwrite(std::uint64_t page, const OpenFile& file,
                                                std::size_t within,
                                                std::span<const std::byte> data) {
  if (const int error = write_fully(file.fd(), within, data); error != 0)
    return failure("write", layout_.path_of(page), error);
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) return failure("examine", layout_.path_of(page), errno);
  if (info.st_nlink == 0) {
    files_.forget(page);
    return Outcome::again;
  }
  // One that a crash left too short.
  if (info.st_size < layout_.page() && ::ftruncate(file.fd(), layout_.page()) != 0)
    return failure("lengthen", layout_.path_of(page), errno);
  unsynced_.wrote(page);
  return Outcome::done;
}

Result<BlockTree::Outcome> BlockTree::open_and_write(std::uint64_t page, std::size_t within,
                                                     std::span<const std::byte> data) {
  CSNAP_ASSIGN(auto file, open_or_make(page, layout_.file_name(page), 0));
  struct stat info {};
  if (::fstat(file->fd(), &info) != 0) return failure("examine", layout_.path_of(page), errno);
  if (info.st_size > 0) {
    const auto outcome = overwrite(page, *file, within, data);
    if (outcome.ok() && *outcome == Outcome::done) keep(page, std::move(file));
    return outcome;
  }
  file_added_or_removed(page);
  // A new page has its length before it has data: whatever a crash makes durable of the two, in
  // the order in which it was done, is a whole page.
  Status failed;
  if (::ftruncate(file->fd(), layout_.page()) != 0)
    failed = failure("lengthen", layout_.path_of(page), errno);
  else if (const int error = write_fully(file->fd(), within, data); error != 0)
    failed = failure("write", layout_.path_of(page), error);
  if (!failed.ok()) {
    CSNAP_TRY(remove(page));  // a file of zeros would say nothing, and take space
    return failed;
  }
  unsynced_.wrote(page);
  keep(page, std::move(file));
  return Outcome::done;
}

// The path of what takes a page's place. A fixed name: what a crash leaves is used by the next
// write of the page.
std::string BlockTree::new_path(std::uint64_t page) const {
  const std::string folder = layout_.levels() == 0 ? "" : layout_.directory_of(page) + "/";
  return folder + new_name(page);
}

// Another process may be about to replace the page with what it has read of it, as the server and
// its clients are where a page holds several chunks of a store. One at a time: who has the lock of
// the new file while that has its name.
Result<OpenFilePtr> BlockTree::lock_new_file(std::uint64_t page) {
  for (;;) {
    CSNAP_ASSIGN(auto file, open_or_make(page, new_name(page), 0));
    while (::flock(file->fd(), LOCK_EX) != 0)
      if (errno != EINTR) return failure("lock", new_path(page), errno);
    struct stat mine {
    }, there{};
    if (::fstat(file->fd(), &mine) != 0) return failure("examine", new_path(page), errno);
    if (::fstatat(root_, new_path(page).c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        mine.st_ino == there.st_ino && mine.st_dev == there.st_dev)
      return file;
  }
}

// The new content is whole and durable before it takes the place of the old one.
Status BlockTree::replace(std::uint64_t page, std::size_t within, std::span<const std::byte> data) {
  CSNAP_ASSIGN(auto file, lock_new_file(page));
  std::vector<std::byte> content(layout_.page());
  if (data.size() < content.size()) CSNAP_TRY(read_page(page, 0, content));
  std::copy(data.begin(), data.end(), content.begin() + static_cast<std::ptrdiff_t>(within));
  const int fd = file->fd();
  int error = write_fully(fd, 0, content);
  if (error == 0 && ::fdatasync(fd) != 0) error = errno;
  if (error == 0 &&
      ::renameat(root_, new_path(page).c_str(), root_, layout_.path_of(page).c_str()) != 0)
    error = errno;
  if (error != 0) {
    ::unlinkat(root_, new_path(page).c_str(), 0);
    return failure("replace", layout_.path_of(page), error);
  }
  ::flock(fd, LOCK_UN);  // it is kept open
  files_.put(page, std::move(file));
  file_added_or_removed(page);
  return {};
}

Status BlockTree::remove(std::uint64_t page) {
  const std::string path = layout_.path_of(page);
  OpenFilePtr lock;
  if (replace_) {
    CSNAP_ASSIGN(const Found found, find(page));
    if (!found.file) return {};
    CSNAP_ASSIGN(lock, lock_new_file(page));
  }
  files_.forget(page);
  OpenFilePtr directory = top_;
  if (layout_.levels() > 0) {
    const int fd =
        open_without_links(root_, layout_.directory_of(page), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? Status() : failure("remove", path, errno);
    directory = std::make_shared<const OpenFile>(fd);
  }
  const int fd = directory->fd();
  const int error = ::unlinkat(fd, layout_.file_name(page).c_str(), 0) == 0 ? 0 : errno;
  if (lock) ::unlinkat(fd, new_name(page).c_str(), 0);
  if (error == ENOENT && !lock) return {};
  if (error != 0 && error != ENOENT) return failure("remove", path, error);
  file_added_or_removed(page);
  remove_empty_directories(page);
  return {};
}

// Whoever makes a file there just now makes the directory again.
void BlockTree::remove_empty_directories(std::uint64_t page) {
  for (unsigned level = layout_.levels(); level > 0; --level) {
    const std::string path = layout_.directory_of(page, level);
    if (::unlinkat(root_, path.c_str(), AT_REMOVEDIR) != 0) return;
    if (level == layout_.levels()) directories_.forget(directory_key(level, page));
    directory_changed(level - 1, page);
  }
}

}  // namespace csnap
