// SPDX-License-Identifier: Apache-2.0
// A recovered store becomes ours: the epoch goes up on disk, and the journal opens with a record
// of the new reign. From then on nothing that an earlier holder still wrote would count.
// Threading: the devices' thread; blocks.
#pragma once

#include <memory>
#include <string>

#include "journal/journal.h"
#include "server/recovery.h"
#include "store/device.h"
#include "store/status.h"

namespace csnap {

// Raises the epoch of recovered.state as well. repairing: what the superblocks say from now on.
// On failure the store is as it was, but for its epoch.
Result<std::unique_ptr<Journal>> take_over(Device& store, Device& metadata, Recovered& recovered,
                                           const std::string& holder, bool repairing);

}  // namespace csnap
