// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/differences.h"

#include <utility>

namespace csnap {

void Differences::close_group() {
  if (group_.count == 0 || !(a_alone_ || b_alone_)) return;
  if (!runs_.empty() && runs_.back().end() == group_.start)
    runs_.back().count += group_.count;
  else
    runs_.push_back(group_);
}

Status Differences::add(const std::vector<Admin::ExceptionLine>& lines) {
  for (const auto& line : lines) {
    const ChunkRun chunks{Chunk(line.start), line.count};
    if (chunks != group_) {
      if (line.count == 0 || line.count > kMaxChunks || line.start > kMaxChunks ||
          (group_.count != 0 && chunks.start < group_.end()))
        return Status(Code::corrupt, "the server's exceptions are not in order");
      close_group();
      group_ = chunks;
      a_alone_ = b_alone_ = false;
    }
    const bool a = (line.mask & a_) != 0, b = (line.mask & b_) != 0;
    a_alone_ = a_alone_ || (a && !b);
    b_alone_ = b_alone_ || (b && !a);
  }
  return {};
}

std::vector<ChunkRun> Differences::take(bool all) {
  if (all) {
    close_group();
    group_ = {};
    return std::exchange(runs_, {});
  }
  std::vector<ChunkRun> taken = std::exchange(runs_, {});
  if (!taken.empty()) {
    runs_.push_back(taken.back());
    taken.pop_back();
  }
  return taken;
}

Result<std::vector<ChunkRun>> find_differences(Admin& admin, ShareMask a, ShareMask b) {
  Differences differences(a, b);
  std::uint64_t from = 0;
  for (bool more = true; more;) {
    CSNAP_ASSIGN(const auto page, admin.dump(from, 0));
    CSNAP_TRY(differences.add(page.lines));
    if (page.more && page.next <= from)
      return Status(Code::corrupt, "the server's exceptions do not come to an end");
    from = page.next;
    more = page.more;
  }
  return differences.take(true);
}

}  // namespace csnap
