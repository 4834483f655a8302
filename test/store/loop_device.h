// SPDX-License-Identifier: Apache-2.0
// A block device made of a file, for tests of what only block devices do. Needs root and a kernel
// that has loop devices; where they are missing made() is false and the test has nothing to test.
#pragma once

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <string>

namespace csnap::test {

class LoopDevice {
 public:
  LoopDevice(const std::string& file, unsigned sector) {
    const int control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0) return;
    const int number = ::ioctl(control, LOOP_CTL_GET_FREE);
    ::close(control);
    if (number < 0) return;
    path_ = "/dev/loop" + std::to_string(number);
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    const int backing = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
    loop_config config{};
    config.fd = static_cast<unsigned>(backing);
    config.block_size = sector;
    made_ = fd_ >= 0 && backing >= 0 && ::ioctl(fd_, LOOP_CONFIGURE, &config) == 0;
    if (backing >= 0) ::close(backing);
  }
  ~LoopDevice() {
    if (made_) ::ioctl(fd_, LOOP_CLR_FD);
    if (fd_ >= 0) ::close(fd_);
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  bool made() const { return made_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_ = -1;
  bool made_ = false;
};

}  // namespace csnap::test
