// SPDX-License-Identifier: Apache-2.0
// An open file or block device and what its I/O must look like. For AioDevice, whose queues on
// one volume share it; closed with the last of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "store/status.h"

namespace csnap {

struct DeviceFile {
  DeviceFile() = default;
  ~DeviceFile();
  DeviceFile(const DeviceFile&) = delete;
  DeviceFile& operator=(const DeviceFile&) = delete;

  int fd = -1;
  std::string path;
  std::uint64_t size = 0;       // bytes
  std::uint32_t alignment = 0;  // of offset, length and memory: 512 or 4096
  bool read_only = false;
  // O_DIRECT. Without it (the file system refuses, or the caller does not want it) data goes
  // through the page cache and is durable after a flush all the same.
  bool direct = false;
  bool regular = false;  // else a block device
};

// The errors are for people: what is wrong with the path, and what to do. REQUIRES nothing of it.
Result<std::shared_ptr<DeviceFile>> open_device_file(const std::string& path, bool read_only,
                                                     bool direct, bool inspect = false);

}  // namespace csnap
