// SPDX-License-Identifier: Apache-2.0
// A store with a history, to be damaged and checked.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "server/check.h"
#include "server/repair.h"
#include "test/engine/rig.h"

namespace csnap {

// Three snapshots, "monday" on bit 0, "tuesday" on 1, "sunday" on 2, and random writes to the
// origin, so that the tree has several leaves and two levels. The rig is closed.
class CheckRig : public Rig {
 public:
  // history: false leaves the store empty, for a history of the test's own.
  explicit CheckRig(RigOptions options = default_options(), bool history = true);
  static RigOptions default_options();

  CheckReport check(bool data = false);
  CheckReport check(const CheckOptions& options);
  Result<RepairReport> repair(bool data = false, bool copy = false);
  // Opens the store, reads every chunk of every snapshot, and says which are lost. What is not lost
  // must be right.
  std::map<SnapshotId, std::set<std::uint64_t>> read_everything();
  Superblock superblock();
  MemoryVolume& meta() { return metadata ? *metadata : *store; }
  // Changes a byte of a metadata block, nothing else.
  void flip(BlockAddress block, std::size_t at = 200);
  // Changes a metadata block and makes its checksum right.
  void change(BlockAddress block, const std::function<void(MutableBlock)>& edit);
  std::vector<std::byte> block(BlockAddress address);
  // The leaf that is the n-th child of the root; the root must be just above the leaves.
  BlockAddress leaf(unsigned n);
};

// The findings as text, one a line, for INFO().
std::string text_of(const CheckReport& report);
bool mentions(const CheckReport& report, const std::string& text);

}  // namespace csnap
