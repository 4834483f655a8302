// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/rmap.h"

#include <algorithm>
#include <future>
#include <utility>

#include "store/types.h"

namespace csnap {
namespace {

// A store that is served, as a source: pages of the tree, each of its own moment.
class ServedSource : public RmapSource {
 public:
  // tree_on_store: the metadata has no device of its own.
  ServedSource(Admin& admin, std::uint64_t blocks_per_chunk, bool tree_on_store)
      : admin_(admin), per_chunk_(blocks_per_chunk), tree_on_store_(tree_on_store) {}

  Status scan(const Visit& visit) override {
    // While a page is worked on, the server makes the next one.
    const auto ask = [this](std::uint64_t from) {
      return std::async(std::launch::async, [this, from] { return admin_.dump_tree(from); });
    };
    auto asked = ask(0);
    for (bool more = true; more;) {
      CSNAP_ASSIGN(const auto page, asked.get());
      more = page.more;
      if (more) asked = ask(page.next);
      for (const auto& entry : page.entries) {
        if (is_lost(StoreChunk(entry.store_chunk))) continue;
        visit({entry.store_chunk * per_chunk_, entry.count, StoreUse::data, Chunk(entry.start),
               entry.mask});
      }
      for (const auto& block : page.blocks)
        if (tree_on_store_)
          visit({block.block, block.count,
                 block.level == 0 ? StoreUse::tree_leaf : StoreUse::tree_node, Chunk(block.start),
                 block.mask});
    }
    return {};
  }

  Result<StoreArea> area_at(std::uint64_t block) override {
    if (areas_.empty() || block < areas_.front().start || block >= areas_.back().end()) {
      CSNAP_ASSIGN(auto page, admin_.map_space(block));
      areas_ = std::move(page.areas);
    }
    const auto after =
        std::upper_bound(areas_.begin(), areas_.end(), block,
                         [](std::uint64_t at, const StoreArea& area) { return at < area.start; });
    const StoreArea& area = *(after - 1);
    return StoreArea{block, area.end() - block, area.use};
  }

 private:
  Admin& admin_;
  const std::uint64_t per_chunk_;
  const bool tree_on_store_;
  std::vector<StoreArea> areas_;  // the last page
};

}  // namespace

Status tell_rmap(Admin& admin, const AdminCommandLine& line, bool& told) {
  CSNAP_ASSIGN(const auto status, admin.status());
  CSNAP_ASSIGN(const auto snapshots, admin.list());
  RmapStore store;
  store.uuid = status.store;
  store.geometry = {status.chunk_size, status.store_chunks, status.origin_size};
  if (status.chunk_size < kBlockSize)
    return Status(Code::corrupt, "the server says that chunks are smaller than can be");
  for (const auto& snapshot : snapshots.snapshots)
    if (snapshot.bit < kMaxSnapshots) store.names[snapshot.bit] = snapshot.name;
  ServedSource source(admin, status.chunk_size / kBlockSize, !status.separate_metadata);
  RmapRequest request = line.rmap;
  request.json = line.json;
  return run_rmap(source, store, request, stdout, told);
}

}  // namespace csnap
