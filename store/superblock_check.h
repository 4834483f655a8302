// SPDX-License-Identifier: Apache-2.0
// Does a superblock contradict itself? Everything that code which trusts a decoded superblock
// relies on: areas inside the device and apart from each other, shifts, counts. Pure; does not
// know how large the devices really are (see check_devices() for that).
#pragma once

#include "store/superblock.h"

namespace csnap {

// corrupt, naming the first contradiction found.
Status check_superblock(const Superblock& superblock);

}  // namespace csnap
