// SPDX-License-Identifier: Apache-2.0
#include "server/metadata_blocks.h"

#include <algorithm>

#include "server/recovery.h"
#include "server/tree_facts.h"

namespace csnap {
namespace {

constexpr std::size_t kCache = 4u << 20;

}  // namespace

Result<std::vector<BlockRun>> metadata_blocks(Device& store, Device& metadata) {
  CSNAP_ASSIGN(Recovered recovered, recover(store, metadata, kCache));
  const StoreState& state = *recovered.state;
  const Superblock& s = state.superblock();
  std::vector<BlockRun> runs{{kSuperblockA, 1},
                             {kSuperblockB, 1},
                             {s.snapshots, s.snapshot_blocks},
                             {s.clients, s.client_blocks},
                             {s.data.bitmap, s.data.bitmap_ready},
                             {s.checksums, s.checksums_ready}};
  // What that of a copy holds is home already, and its superblocks are not marked as a copy's.
  if (!s.is_copy()) runs.push_back({s.journal, s.journal_blocks});
  if (s.separate_metadata) runs.push_back({s.metadata.bitmap, s.metadata.bitmap_ready});
  BlockReader reader(metadata, recovered.state->cache(), s.uuid);
  for (const BlockAddress block : gather_tree(reader, s, state.snapshots()).blocks)
    runs.push_back({block, 1});
  std::sort(runs.begin(), runs.end(),
            [](const BlockRun& a, const BlockRun& b) { return a.start < b.start; });
  std::size_t kept = 0;
  for (const BlockRun& run : runs) {
    if (run.count == 0) continue;
    if (kept > 0 && runs[kept - 1].end() == run.start)
      runs[kept - 1].count += run.count;
    else
      runs[kept++] = run;
  }
  runs.resize(kept);
  return runs;
}

}  // namespace csnap
