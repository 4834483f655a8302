// SPDX-License-Identifier: Apache-2.0
// Opens what a user named: a block device, or a file used as one. Errors are sentences for that
// user: not_found, denied, invalid (a directory, a pipe, a size that is no multiple of a sector).
// Threading: any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "store/device.h"

namespace csnap {

enum class OpenMode {
  read_write,
  read_only,
  inspect,  // read-only, also when a part of a sector at the end is left over; that is not there
};

// Requests that the kernel holds at once for one queue of a device. The system has a limited number
// of them in all (fs.aio-max-nr).
inline constexpr unsigned kDefaultQueueDepth = 256;

Result<std::unique_ptr<Device>> open_device(const std::string& path, OpenMode mode,
                                            unsigned queue_depth = kDefaultQueueDepth);

// Makes a file, durably in its directory, readable and writable by its owner only. exists
// when there is anything under that name; no_space when the file system cannot hold such a file.
// On failure nothing is left behind. size: bytes, a multiple of 4096. It is sparse, unless `filled`
// is given: then all of it is written with zeros, which takes as long as that does, and filled()
// told from time to time how much is, 0 to 1.
Status create_device_file(const std::string& path, std::uint64_t size,
                          const std::function<void(double)>& filled = nullptr);

}  // namespace csnap
