// SPDX-License-Identifier: Apache-2.0
// What a tool does to a store that no server has, with its N-th I/O going wrong for every N.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "test/faults/ordeal.h"

namespace csnap {

struct OfflineOperation {
  std::string name;
  // Puts the volumes of this try into the rig, whose store is not open.
  std::function<void(Rig&)> prepare;
  std::function<Status(Device& store, Device* metadata)> act;
  // The tool is gone and the disks are well again. outcome: what act said; after a crash it may
  // have said anything.
  std::function<void(Rig&, const Status& outcome, bool crashed)> judge;
  RigOptions options = {};
};

// How many points there were. Fails the test with a sentence.
std::uint64_t undergo(const OfflineOperation& operation, const Way& way);

}  // namespace csnap
