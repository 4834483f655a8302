// SPDX-License-Identifier: Apache-2.0
// What the judge looks at: which I/O of a client is under way, and what it remembers.
#include <algorithm>

#include "test/sim/client.h"

namespace csnap::sim {

bool Client::reads_origin(ChunkRun chunks) const {
  for (const ActionPtr& a : actions_) {
    if (!a->reads_grant || !may_deliver(a->generation)) continue;
    for (const ReadSource& s : a->sources)
      if (s.on_origin && s.chunks.overlaps(chunks)) return true;
  }
  return false;
}

bool Client::reads_store(StoreRun run) const {
  for (const ActionPtr& a : actions_) {
    if (!a->reads_grant || !may_deliver(a->generation)) continue;
    for (const ReadSource& s : a->sources)
      if (!s.on_origin && StoreRun{s.store, s.chunks.count}.overlaps(run)) return true;
  }
  return false;
}

bool Client::reads_unprotected(StoreRun run) const {
  for (const ActionPtr& a : actions_) {
    if (!a->reads_grant || !may_deliver(a->generation)) continue;
    for (const ReadSource& s : a->sources)
      for (std::uint64_t i = 0; !s.on_origin && i < s.chunks.count; ++i)
        if (run.contains(s.store + i) && (s.crcs.empty() || s.crcs[i] == 0)) return true;
  }
  return false;
}

bool Client::writes_origin() const {
  return std::any_of(writing_.begin(), writing_.end(),
                     [](const Writing& w) { return w.to_origin; });
}

bool Client::writes_store(StoreRun run) const {
  const std::uint64_t from = run.start.value * chunk_size(), to = run.end().value * chunk_size();
  return std::any_of(writing_.begin(), writing_.end(), [&](const Writing& w) {
    return !w.to_origin && w.offset < to && from < w.offset + w.length;
  });
}

bool Client::remembers_unique() const {
  if (!unique_) return false;
  std::vector<ChunkRun> missing;
  unique_->append_missing({Chunk(0), unique_->chunks()}, missing);
  std::uint64_t count = 0;
  for (const ChunkRun& run : missing) count += run.count;
  return count != unique_->chunks();
}

}  // namespace csnap::sim
