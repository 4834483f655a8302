// SPDX-License-Identifier: Apache-2.0
// Holes of regular files. Threading: any. Errors: io_error, no_space, with the file.
#pragma once

#include <cstdint>

#include "store/device.h"
#include "store/device_file.h"

namespace csnap {

// See Device::next_data(). Where the file system has no notion of holes all is data.
Result<DataExtent> find_data(const DeviceFile& file, std::uint64_t offset);
// unsupported when the file system makes none.
Status punch_hole(const DeviceFile& file, std::uint64_t offset, std::uint64_t length);

}  // namespace csnap
