// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "store/block_tree_layout.h"
#include "store/device_identity.h"
#include "store/errno_status.h"

namespace csnap {
namespace {

template <class T>
bool parse(std::string_view text, T& value, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string read_all(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string name_of_process(int pid) {
  std::string name = read_all("/proc/" + std::to_string(pid) + "/comm");
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

std::optional<LockHolder> holder_of(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return std::nullopt;
  return find_lock_holder(read_all("/proc/locks"), major(info.st_dev), minor(info.st_dev),
                          info.st_ino);
}

Status held(const std::string& path, const std::optional<LockHolder>& holder) {
  std::string who = "another process";
  if (holder && holder->pid > 0) {
    const std::string name = name_of_process(holder->pid);
    const std::string pid = "pid " + std::to_string(holder->pid);
    who = holder->pid == ::getpid() ? "this very process (" + pid + ")"
          : name.empty()            ? pid
                                    : name + " (" + pid + ")";
  }
  return Status(Code::busy, path + ": is in use by " + who);
}

}  // namespace

// A line: "7: FLOCK  ADVISORY  WRITE 1234 fe:00:56789 0 EOF"; one that waits has "->" before FLOCK.
std::optional<LockHolder> find_lock_holder(std::string_view proc_locks, unsigned major,
                                           unsigned minor, std::uint64_t inode) {
  for (const std::string_view line : split(proc_locks, '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 6 || fields[1] != "FLOCK") continue;
    const auto place = split(fields[5], ':');
    unsigned its_major = 0, its_minor = 0;
    std::uint64_t its_inode = 0;
    if (place.size() != 3 || !parse(place[0], its_major, 16) || !parse(place[1], its_minor, 16) ||
        !parse(place[2], its_inode, 10))
      continue;
    if (its_major != major || its_minor != minor || its_inode != inode) continue;
    LockHolder holder;
    if (!parse(fields[4], holder.pid, 10)) continue;
    holder.exclusive = fields[3] == "WRITE";
    return holder;
  }
  return std::nullopt;
}

DeviceLock::~DeviceLock() {
  if (fd_ >= 0) ::close(fd_);
}

DeviceLock::DeviceLock(DeviceLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

DeviceLock& DeviceLock::operator=(DeviceLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Result<DeviceLock> lock_device(const std::string& name) {
  CSNAP_ASSIGN(const auto tree, BlockTreePath::parse(name));
  const std::string& path = tree ? tree->directory : name;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno_status(errno, path + ": cannot be used");
  const bool block = S_ISBLK(info.st_mode);
  if (tree && !S_ISDIR(info.st_mode)) return Status(Code::invalid, path + ": is not a directory");
  if (!tree && !block && !S_ISREG(info.st_mode))
    return Status(Code::invalid, path + ": is neither a regular file nor a block device");
  // Read-only: closing a block device that was open for writing makes udev look at it again.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | (block ? O_EXCL : 0));
  if (fd < 0 && errno == EBUSY)
    return Status(Code::busy, path +
                                  ": is in use: mounted, part of a volume group or array, or "
                                  "held by another server");
  if (fd < 0) return errno_status(errno, path + ": cannot be locked");
  DeviceLock lock(fd);
  // udev takes a shared lock for the moment in which it looks at a device; that will pass.
  constexpr int kTries = 40;
  constexpr std::chrono::milliseconds kPause(50);
  for (int left = kTries;; --left) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return errno_status(errno, path + ": cannot be locked");
    const auto holder = holder_of(fd);
    const bool passing = block && holder && !holder->exclusive;
    if (!passing || left == 0) return held(path, holder);
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace csnap
