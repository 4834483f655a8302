// SPDX-License-Identifier: Apache-2.0
// What a device holds already: a csnap store, or anything libblkid knows (file systems, partition
// tables, RAID members, swap, ...).
// Threading: any.
#pragma once

#include <optional>
#include <string>

#include "store/device.h"

namespace csnap {

// A sentence part such as "a file system (ext4, 'backup')" or "a csnap store (UUID ...)"; nullopt
// when nothing is known to be there. An error when it cannot be found out.
Result<std::optional<std::string>> find_content(const std::string& path, Device& device);

// Removes every signature that libblkid finds, so that nobody takes the device for what it was.
Status wipe_signatures(const std::string& path, Device& device);

}  // namespace csnap
