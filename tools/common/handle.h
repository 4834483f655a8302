// SPDX-License-Identifier: Apache-2.0
// What names a volume for ever: its store, and its id there. It outlives renaming, restarts and the
// store's moving to other disks; no other volume ever has it. As text: UUID:ID. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "store/status.h"
#include "store/uuid.h"

namespace csnap {

struct VolumeHandle {
  Uuid store;
  std::uint64_t id = 0;  // of the snapshot; 0: the origin
  bool operator==(const VolumeHandle&) const = default;
};

std::string to_string(const VolumeHandle& handle);
// invalid.
Result<VolumeHandle> parse_handle(const std::string& text);

}  // namespace csnap
