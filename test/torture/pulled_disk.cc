// SPDX-License-Identifier: Apache-2.0
#include "test/torture/pulled_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "test/torture/process.h"
#include "test/torture/rig.h"

namespace csnap::torture {

namespace {

constexpr std::uint64_t kRoom = 64 << 20;       // beside the file, for ext4's own things
constexpr unsigned kShutDown = 0x8004587d;      // EXT4_IOC_SHUTDOWN
constexpr std::uint32_t kWithWhatIsLogged = 1;  // its flag: completed writes are kept
constexpr std::uint64_t kRemainder = 4096;      // bytes of a disk that has shrunk
constexpr int kTries = 1000;                    // ten seconds

[[noreturn]] void die_of(const std::string& what) {
  die(what + ": " + strerror(errno));
}

// Until it works: the kernel lets go of things a moment after it says so.
template <class Action>
void surely(const std::string& what, Action&& action) {
  for (int i = 0; !action(); ++i) {
    if (i == kTries) die_of(what);
    pause_ms(10);
  }
}

void fill_with_zeros(const std::string& path, std::uint64_t size) {
  const std::vector<char> zeros(1 << 20);
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) die_of("open " + path);
  for (std::uint64_t at = 0; at < size; at += zeros.size())
    if (pwrite(fd, zeros.data(), zeros.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(zeros.size()))
      die_of("write " + path);
  if (fsync(fd) != 0) die_of("fsync " + path);
  close(fd);
}

}  // namespace

LoopDevice::LoopDevice(unsigned number)
    : number_(number), path_("/dev/loop" + std::to_string(number)) {
  const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) die_of("/dev/loop-control");
  if (ioctl(control, LOOP_CTL_ADD, number) < 0 && errno != EEXIST) die_of("a new loop device");
  close(control);
}

LoopDevice::~LoopDevice() {
  detach();
  const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  ioctl(control, LOOP_CTL_REMOVE, number_);
  close(control);
}

void LoopDevice::attach(const std::string& file, bool direct_io) {
  const int backing = open(file.c_str(), O_RDWR | O_CLOEXEC | (direct_io ? O_DIRECT : 0));
  if (backing < 0) die_of("open " + file);
  loop_config config{};
  config.fd = static_cast<__u32>(backing);
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (direct_io ? LO_FLAGS_DIRECT_IO : 0);
  surely("open " + path_, [&] { return (fd_ = open(path_.c_str(), O_RDWR | O_CLOEXEC)) >= 0; });
  surely("attach " + path_, [&] { return ioctl(fd_, LOOP_CONFIGURE, &config) == 0; });
  close(backing);
}

void LoopDevice::detach() {
  if (fd_ < 0) return;
  ioctl(fd_, LOOP_CLR_FD);
  close(fd_);
  fd_ = -1;
}

void LoopDevice::limit(std::uint64_t bytes) {
  loop_info64 info{};
  if (ioctl(fd_, LOOP_GET_STATUS64, &info) != 0) die_of("status of " + path_);
  info.lo_sizelimit = bytes;
  surely("limit " + path_, [&] { return ioctl(fd_, LOOP_SET_STATUS64, &info) == 0; });
}

std::string PulledDisk::prepare_process() {
  if (geteuid() != 0) return "needs root";
  if (access("/dev/loop-control", R_OK | W_OK) != 0) return "no loop devices";
  if (run({"mkfs.ext4", "-V"}).code != 0) return "no mkfs.ext4";
  if (unshare(CLONE_NEWNS) != 0) return std::string("no mount namespace: ") + strerror(errno);
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return std::string("no private mounts: ") + strerror(errno);
  return "";
}

const char* PulledDisk::name_of(Way way) {
  switch (way) {
    case Way::shut_down:
      return "shut down";
    case Way::shrink:
      return "shrunk";
    default:
      return "filled";
  }
}

PulledDisk::PulledDisk(const std::string& folder, const std::string& name, std::uint64_t size,
                       Kind kind, unsigned number)
    : name_(name),
      image_(folder + "/" + name + ".ext4"),
      mount_point_(folder + "/" + name),
      file_(mount_point_ + "/" + name),
      balloon_(mount_point_ + "/balloon"),
      kind_(kind),
      outer_(number),
      inner_(number + 1) {
  std::filesystem::create_directory(mount_point_);
  const auto make = [](const std::string& path, std::uint64_t bytes) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) die_of("make " + path);
    close(fd);
  };
  make(image_, size + kRoom);
  const auto made = run({"mkfs.ext4", "-q", "-F", "-m", "0", image_});
  if (made.code != 0) die("mkfs.ext4: " + made.output);
  outer_.attach(image_, false);
  mount_it();
  make(file_, size);
  if (!kind_.thin) fill_with_zeros(file_, size);
  if (kind_.block) inner_.attach(file_, true);
}

PulledDisk::~PulledDisk() {
  inner_.detach();
  unmount_it();
  outer_.detach();
}

void PulledDisk::mount_it() {
  surely("mount " + mount_point_, [&] {
    return mount(outer_.path().c_str(), mount_point_.c_str(), "ext4", 0, nullptr) == 0;
  });
  mounted_ = true;
}

void PulledDisk::unmount_it() {
  if (!mounted_) return;
  surely("umount " + mount_point_, [&] { return umount(mount_point_.c_str()) == 0; });
  mounted_ = false;
}

// Takes what space there is, in ever smaller pieces.
void PulledDisk::inflate() {
  const int fd = open(balloon_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) die_of("make " + balloon_);
  off_t at = 0;
  for (off_t piece = off_t{1} << 30; piece >= 4096;) {
    if (fallocate(fd, 0, at, piece) == 0)
      at += piece;
    else if (errno == ENOSPC)
      piece /= 2;
    else
      die_of("fill " + balloon_);
  }
  close(fd);
}

void PulledDisk::pull(Way way) {
  way_ = way;
  if (way == Way::shrink) return inner_.limit(kRemainder);
  if (way == Way::fill) return inflate();
  const int fd = open(mount_point_.c_str(), O_RDONLY | O_CLOEXEC);
  std::uint32_t flags = kWithWhatIsLogged;
  if (fd < 0 || ioctl(fd, kShutDown, &flags) != 0) die_of("shut down " + mount_point_);
  close(fd);
}

void PulledDisk::put_back() {
  switch (way_) {
    case Way::shrink:
      return inner_.limit(0);
    case Way::fill:
      if (unlink(balloon_.c_str()) != 0) die_of("remove " + balloon_);
      return;
    case Way::shut_down:
      inner_.detach();
      unmount_it();
      mount_it();
      if (kind_.block) inner_.attach(file_, true);
  }
}

}  // namespace csnap::torture
