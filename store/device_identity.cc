// SPDX-License-Identifier: Apache-2.0
#include "store/device_identity.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>
#include <utility>

#include "store/block_tree.h"
#include "store/errno_status.h"

namespace csnap {
namespace {

// First line of a small file of the kernel's, without blanks at its ends; empty when there is none.
std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  const auto begin = line.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
}

// The kinds of disks keep their name in different places. A partition has the disk's, and a number.
std::string serial_of(dev_t rdev) {
  const std::string device =
      "/sys/dev/block/" + std::to_string(major(rdev)) + ":" + std::to_string(minor(rdev));
  const std::string partition = first_line(device + "/partition");
  const std::string disk = partition.empty() ? device : device + "/..";
  for (const char* place : {"/wwid", "/device/wwid", "/serial", "/device/serial", "/dm/uuid"}) {
    const std::string serial = first_line(disk + place);
    if (serial.empty()) continue;
    return partition.empty() ? serial : serial + " partition " + partition;
  }
  return "";
}

std::string describe_place(const DeviceIdentity& identity) {
  if (identity.rdev != 0)
    return "block device " + std::to_string(major(identity.rdev)) + ":" +
           std::to_string(minor(identity.rdev));
  return "file with inode " + std::to_string(identity.inode) + " on device " +
         std::to_string(major(identity.device)) + ":" + std::to_string(minor(identity.device));
}

Result<DeviceIdentity> identify_tree(const BlockTreePath& path) {
  CSNAP_ASSIGN(const auto layout, BlockTree::layout_of(path));
  struct stat info {};
  if (::stat(path.directory.c_str(), &info) != 0)
    return errno_status(errno, path.directory + ": cannot be examined");
  DeviceIdentity identity;
  identity.host = first_line("/proc/sys/kernel/random/boot_id");
  identity.size = BlockTree::whole_sectors(layout);
  identity.device = info.st_dev;
  identity.inode = info.st_ino;
  return identity;
}

}  // namespace

Result<DeviceIdentity> identify(const std::string& path) {
  CSNAP_ASSIGN(const auto tree, BlockTreePath::parse(path));
  if (tree) return identify_tree(*tree);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno_status(errno, path + ": cannot be examined");
  DeviceIdentity identity;
  identity.host = first_line("/proc/sys/kernel/random/boot_id");
  if (S_ISREG(info.st_mode)) {
    identity.size = static_cast<std::uint64_t>(info.st_size);
    identity.device = info.st_dev;
    identity.inode = info.st_ino;
    return identity;
  }
  if (!S_ISBLK(info.st_mode))
    return Status(Code::invalid, path + ": is neither a regular file nor a block device");
  identity.rdev = info.st_rdev;
  identity.serial = serial_of(info.st_rdev);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_status(errno, path + ": cannot be opened for reading");
  const int error = ::ioctl(fd, BLKGETSIZE64, &identity.size) == 0 ? 0 : errno;
  ::close(fd);
  if (error != 0) return errno_status(error, path + ": cannot ask the block device for its size");
  return identity;
}

Status same_volume(const DeviceIdentity& mine, const DeviceIdentity& theirs,
                   const std::string& what) {
  std::string differs;
  const auto add = [&differs](const std::string& text) {
    differs += (differs.empty() ? "" : "; ") + text;
  };
  if (mine.size != theirs.size)
    add("it has " + std::to_string(mine.size) + " bytes here and " + std::to_string(theirs.size) +
        " there");
  const bool one_host = !mine.host.empty() && mine.host == theirs.host;
  const bool same_place =
      mine.rdev == theirs.rdev &&
      (mine.rdev != 0 || (mine.device == theirs.device && mine.inode == theirs.inode));
  if (one_host && !same_place)
    add("it is a " + describe_place(mine) + " here and a " + describe_place(theirs) + " there");
  if (!mine.serial.empty() && !theirs.serial.empty() && mine.serial != theirs.serial)
    add("its serial is '" + mine.serial + "' here and '" + theirs.serial + "' there");
  if (differs.empty()) return Status();
  return Status(Code::invalid, what + " is not the same volume on both sides: " + differs);
}

}  // namespace csnap
