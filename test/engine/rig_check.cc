// SPDX-License-Identifier: Apache-2.0
// Comparing the volumes with the model, and the store with itself.
#include <set>

#include "server/recovery.h"
#include "test/engine/rig.h"

namespace csnap {

void Rig::check_all() {
  for (std::uint64_t c = 0; c < options.origin_chunks; ++c)
    if (tag_at(*origin, c) != model_[kOrigin][c]) ++mismatches_;
  for (const auto& volume : model_) {
    const SnapshotId id = volume.first;
    if (id == kOrigin) continue;
    bool told = false;
    read_snapshot(id, {Chunk(0), options.origin_chunks}, [&](const Status& status) {
      require(status.ok(),
              "reading snapshot " + std::to_string(id.value) + ": " + status.to_string());
      told = true;
    });
    until([&] { return told; });
  }
}

std::string Rig::check_store() {
  MemoryDevice store_device(store);
  std::unique_ptr<MemoryDevice> metadata_device;
  if (metadata) metadata_device = std::make_unique<MemoryDevice>(metadata);
  Device& meta = metadata_device ? static_cast<Device&>(*metadata_device) : store_device;
  auto recovered = recover(store_device, meta, 64u << 20);
  if (!recovered.ok()) return "recover: " + recovered.status().to_string();
  StoreState& state = *recovered->state;
  const ShareMask allowed = state.snapshots().active() | state.snapshots().deleting();
  std::set<std::uint64_t> used;
  std::string wrong;
  const Status walked = state.with_blocks([&]() -> Status {
    used.clear();
    for (Chunk at{0};;) {
      auto mapping = state.tree().next_mapping(at);
      if (!mapping.ok()) return mapping.status();
      if (!*mapping) return {};
      const Mapping& m = **mapping;
      ShareMask seen = 0;
      for (unsigned i = 0; i < m.count; ++i) {
        const Exception& e = m.exceptions[i];
        if (e.mask == 0 || (e.mask & seen) || (e.mask & ~allowed)) wrong = "a mask is wrong";
        seen |= e.mask;
        if (is_lost(e.store)) continue;
        for (std::uint64_t c = 0; c < m.chunks.count; ++c)
          if (!used.insert(e.store.value + c).second) wrong = "a store chunk is used twice";
      }
      at = m.chunks.end();
    }
  });
  if (!walked.ok()) return "walk: " + walked.to_string();
  if (!wrong.empty()) return wrong;
  const Superblock& sb = state.superblock();
  if (used.size() != sb.exceptions)
    return "counted " + std::to_string(used.size()) + " exceptions, the superblock says " +
           std::to_string(sb.exceptions);
  std::uint64_t bits = 0;
  for (std::uint64_t c = sb.data.reserved / sb.blocks_per_chunk(); c < sb.store_chunks(); ++c) {
    Result<bool> is_used = false;
    const Status status = state.with_blocks([&] {
      is_used = state.data().is_used(StoreChunk(c));
      return is_used.status();
    });
    if (!status.ok()) return status.to_string();
    bits += *is_used;
    if (used.contains(c) && !*is_used) return "an exception lies in a chunk that counts as free";
  }
  if (sb.separate_metadata || sb.blocks_per_chunk() == 1) {
    const std::uint64_t metadata_chunks = sb.separate_metadata ? 0 : sb.tree_blocks;
    if (bits != used.size() + metadata_chunks)
      return std::to_string(bits) + " chunks in use, " + std::to_string(used.size()) +
             " exceptions, " + std::to_string(metadata_chunks) + " tree blocks";
  }
  const std::uint64_t all = sb.store_chunks() - sb.data.reserved / sb.blocks_per_chunk();
  if (sb.data.free_chunks != all - bits)
    return "free chunks: counted " + std::to_string(all - bits) + ", the superblock says " +
           std::to_string(sb.data.free_chunks);
  return {};
}

}  // namespace csnap
