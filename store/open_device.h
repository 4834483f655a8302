// SPDX-License-Identifier: Apache-2.0
// Opens what a user named: a block device, a file used as one, or a tree of block files
// ("tree:DIRECTORY?size=SIZE"). Errors are sentences for that user: not_found, denied, invalid (a
// directory, a pipe, a size that is no multiple of a sector).
// Who takes such a name gives it to these functions, to identify() and to lock_device(), and to
// nothing that takes it for a path.
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

// The same name for a process that stands in another directory. What is no tree gets no links
// resolved: a name such as /dev/disk/by-id/... means the same on other hosts, what it points to
// does not.
std::string absolute_device_name(const std::string& name);
// Does the name mean a directory, whose files only csnap (and nbd-server) can make sense of?
bool names_block_tree(const std::string& name);
// Is there anything under that name?
bool device_exists(const std::string& name);

// Makes a file, durably in its directory, readable and writable by its owner only. exists
// when there is anything under that name; no_space when the file system cannot hold such a file.
// On failure nothing is left behind. size: bytes, a multiple of 512. It is sparse, unless `filled`
// is given: then all of it is written with zeros, which takes as long as that does, and filled()
// told from time to time how much is, 0 to 1.
// A tree of block files is a new directory; a page that is all zeros has no file there, so that
// `filled` makes no sense (unsupported).
Status create_device_file(const std::string& path, std::uint64_t size,
                          const std::function<void(double)>& filled = nullptr);
// Takes away what create_device_file() made, and what was written to it.
void remove_device_file(const std::string& path);

}  // namespace csnap
