// SPDX-License-Identifier: Apache-2.0
// Are two paths, on two hosts perhaps, the same volume? And: one owner at a time for a volume on
// this host.
// Threading: any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "store/status.h"

namespace csnap {

// What can be known about a volume from outside it. Travels between client and server.
struct DeviceIdentity {
  std::uint64_t size = 0;  // bytes
  std::string host = {};   // boot id of the host that looked; empty: not known
  // File system and inode, of a regular file or of the directory of a tree of block files;
  // meaningful on that host only.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t rdev = 0;   // device number, of a block device; 0 for a file. That host only
  std::string serial = {};  // world-wide name or serial of a block device; empty: not known
  bool operator==(const DeviceIdentity&) const = default;

  // One line of text, as it travels between server and client.
  std::string to_string() const;
  // corrupt when it is not such a text. Fields that this build does not know are ignored.
  static Result<DeviceIdentity> parse(std::string_view text);
};

Result<DeviceIdentity> identify(const std::string& path);

// ok when nothing that can be compared says otherwise: sizes always; inode or device number when
// both looked on one host since it booted; serials when both are known. what names the volume
// ("origin /dev/sdb") in the message, which says what differs. Else invalid.
Status same_volume(const DeviceIdentity& mine, const DeviceIdentity& theirs,
                   const std::string& what);

// An exclusive lock on a file, a block device or the directory of a tree, held while the object
// lives, also against other processes of this host. It does not hold anything up that does not ask
// for it (clients, fsck). For a block device it is also an exclusive open: a mounted device, or one
// that is part of a volume group or array, is busy.
class DeviceLock {
 public:
  ~DeviceLock();
  DeviceLock(DeviceLock&& other) noexcept;
  DeviceLock& operator=(DeviceLock&& other) noexcept;

 private:
  friend Result<DeviceLock> lock_device(const std::string& path);
  explicit DeviceLock(int fd) : fd_(fd) {}
  int fd_;
};

// busy, with the pid and name of the holder where the kernel tells, when somebody has it.
Result<DeviceLock> lock_device(const std::string& path);

// The holder of an flock in the text of /proc/locks. For lock_device() and its tests.
struct LockHolder {
  int pid = 0;
  bool exclusive = false;
};
std::optional<LockHolder> find_lock_holder(std::string_view proc_locks, unsigned major,
                                           unsigned minor, std::uint64_t inode);

}  // namespace csnap
