// SPDX-License-Identifier: Apache-2.0
// Copies a volume: from and to a device, a file, a tree of block files, a snapshot, the origin.
// Threading: blocks; a few threads of its own read and write. Once a process, before it has
// threads: from then on SIGTERM and SIGINT end the copy, and the process when that takes long.
// Errors: sentences for people. exists: the destination holds something, and `force` is not set;
// not_found: there is no such snapshot; cancelled: a signal came. A destination that was made is
// taken away again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "store/status.h"

namespace csnap {

struct CopyRequest {
  // "snapshot:NAME" and "origin" are volumes of the server; anything else is a device's name.
  std::string source, destination;
  std::vector<std::string> addresses;  // of the server
  bool force = false;
  std::function<void(double)> progress;  // 0 to 1; by the caller's thread
};

struct CopyOutcome {
  std::string destination;    // as csnapd wants to be told it
  std::uint64_t size = 0;     // bytes
  std::uint64_t written = 0;  // of them, or made holes; the others were there already
  bool made = false;
};

Result<CopyOutcome> copy_volume(const CopyRequest& request);

}  // namespace csnap
