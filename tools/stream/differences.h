// SPDX-License-Identifier: Apache-2.0
// Which chunks differ between two snapshots, from the exception map alone. A chunk is the same in
// both when one exception is seen by both, or when neither has one: then both see the origin's.
// Data is never compared; what was rewritten with what it held before differs. Pure. Threading: one
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "client/admin.h"
#include "store/types.h"

namespace csnap {

class Differences {
 public:
  // Of one snapshot and the origin: the other mask is 0, for the origin has no exceptions.
  Differences(ShareMask a, ShareMask b) : a_(a), b_(b) {}

  // REQUIRES: lines of one chunk are neighbours, as the server gives them; corrupt if chunks go
  // back.
  Status add(const std::vector<Admin::ExceptionLine>& lines);
  // Moves out what is known so far; the last run may yet grow until `all` of them were added.
  std::vector<ChunkRun> take(bool all);

 private:
  void close_group();

  const ShareMask a_, b_;
  ChunkRun group_;  // the chunks whose exceptions are being looked at
  bool a_alone_ = false, b_alone_ = false;
  std::vector<ChunkRun> runs_;
};

// Asks the server for all of it, page by page.
Result<std::vector<ChunkRun>> find_differences(Admin& admin, ShareMask a, ShareMask b);

}  // namespace csnap
