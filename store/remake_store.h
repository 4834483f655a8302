// SPDX-License-Identifier: Apache-2.0
// Makes the fixed areas of a store anew beside data that stays where it is.
// Threading: the devices' thread; blocks.
#pragma once

#include "store/device.h"
#include "store/superblock.h"

namespace csnap {

// As format_store(), but nothing behind the reserved blocks is written, whatever it looks like.
Status remake_store(Device& store, Device* metadata, const Superblock& plan);

}  // namespace csnap
