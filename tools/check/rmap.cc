// SPDX-License-Identifier: Apache-2.0
#include "tools/check/rmap.h"

#include <string>
#include <utility>
#include <vector>

#include "server/store_map.h"
#include "store/pack_device.h"
#include "tools/check/devices.h"

namespace csnap {
namespace {

// A store that nobody has open, as a source.
class StoreSource : public RmapSource, private TreeVisitor {
 public:
  explicit StoreSource(StoreMap& map)
      : map_(map), per_chunk_(map.superblock().blocks_per_chunk()) {}

  Status scan(const Visit& visit) override {
    visit_ = &visit;
    damage_.clear();
    map_.scan(*this);
    return {};
  }
  Result<StoreArea> area_at(std::uint64_t block) override { return map_.area_at(block); }
  std::vector<std::string> damage() const override { return damage_; }

 private:
  void leaf(const TreeRef& ref, LeafView leaf) override {
    tell(ref, 0, leaf.mask_union());
    for (unsigned i = 0; i < leaf.entries(); ++i) {
      const LeafEntry entry = leaf.entry(i);
      if (is_lost(entry.store)) continue;
      (*visit_)(
          {entry.store.value * per_chunk_, entry.length, StoreUse::data, entry.chunk, entry.mask});
    }
  }
  void node(const TreeRef& ref, unsigned level) override { tell(ref, level, ref.mask); }
  void bad(const TreeRef& ref, unsigned level, const std::string& what) override {
    tell(ref, level, ref.mask);
    damage_.push_back("tree block " + std::to_string(ref.block.value) + ": " + what);
  }
  void wrong_mask(const TreeRef&, unsigned, ShareMask) override {}

  void tell(const TreeRef& ref, unsigned level, ShareMask mask) {
    if (map_.superblock().separate_metadata) return;
    (*visit_)({ref.block.value, ref.keys.count,
               level == 0 ? StoreUse::tree_leaf : StoreUse::tree_node, ref.keys.start, mask});
  }

  StoreMap& map_;
  const std::uint64_t per_chunk_;
  const Visit* visit_ = nullptr;
  std::vector<std::string> damage_;  // of the last scan
};

Status tell_map(const CheckToolOptions& options, Device& store, Device* metadata, bool has_data) {
  CSNAP_ASSIGN(StoreMap map, StoreMap::open(store, metadata, has_data));
  const Superblock& s = map.superblock();
  RmapStore about;
  about.uuid = s.uuid;
  about.geometry = {s.chunk_size(), s.store_chunks(), s.origin_size};
  for (const Snapshot& snapshot : map.snapshots()) about.names[snapshot.bit] = snapshot.name;
  StoreSource source(map);
  bool begun = false;
  return run_rmap(source, about, options.map, stdout, begun);
}

}  // namespace

Status run_check_rmap(const CheckToolOptions& options) {
  CSNAP_ASSIGN(const bool pack, PackFile::is_pack(options.store));
  if (!pack) {
    CSNAP_ASSIGN(const StoreDevices devices, open_devices(options, OpenMode::inspect));
    return tell_map(options, *devices.store->device, devices.separate(), true);
  }
  if (!options.metadata.empty())
    return Status(Code::invalid, options.store + " is a pack; it has all the metadata there is");
  CSNAP_ASSIGN(const PackFile file, PackFile::open(options.store));
  const auto store = file.store(), metadata = file.metadata();
  return tell_map(options, *store, metadata.get(), false);
}

}  // namespace csnap
