// SPDX-License-Identifier: Apache-2.0
// What every Device says about a request before it carries it out. For implementations of Device.
#pragma once

#include <cstdint>
#include <string>

#include "store/device.h"

namespace csnap {

// "read", "write", "flush".
const char* io_kind_name(IoKind kind);
// "/dev/sdb: write of 4096 bytes at offset 8192", the beginning of every device error.
std::string describe_request(const std::string& device, IoKind kind, std::uint64_t offset,
                             std::size_t length);
// invalid when misaligned or empty, out_of_range past the end, denied for a write to a device
// opened for reading.
Status check_request(const Device& device, const IoRequest& request);

}  // namespace csnap
