// SPDX-License-Identifier: Apache-2.0
// Which blocks of the metadata device a store needs: what a copy of its metadata must have.
// Threading: the device's thread; blocks.
#pragma once

#include <vector>

#include "store/device.h"
#include "store/status.h"
#include "store/types.h"

namespace csnap {

using BlockRun = Run<BlockAddress>;

// By address: superblocks, tables, the parts of bitmaps and checksum table that were ever written,
// the journal, the tree. Damaged blocks of the tree, and what is below them, are not among them.
Result<std::vector<BlockRun>> metadata_blocks(Device& store, Device& metadata);

}  // namespace csnap
