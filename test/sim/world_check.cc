// SPDX-License-Identifier: Apache-2.0
// The store while no server has it: whole in itself, and every snapshot as the model says.
#include <optional>
#include <vector>

#include "server/check.h"
#include "server/recovery.h"
#include "store/crc.h"
#include "test/sim/world.h"

namespace csnap::sim {
namespace {

struct Walk {
  StoreState& state;
  ShareMask allowed = 0;
  std::vector<bool> used;  // store chunks of exceptions
  std::uint64_t used_count = 0;
  std::vector<std::vector<std::uint64_t>> places;  // by bit, by chunk: store chunk + 1
  std::string wrong;
};

// The tree's mappings: masks, keys, every place used once.
Status walk_tree(Walk& walk) {
  StoreState& state = walk.state;
  const Superblock& sb = state.superblock();
  walk.used.assign(sb.store_chunks(), false);
  walk.used_count = 0;
  walk.places.assign(kMaxSnapshots, {});
  for (unsigned bit = 0; bit < kMaxSnapshots; ++bit)
    if (walk.allowed & mask_of_bit(bit)) walk.places[bit].assign(sb.origin_chunks(), 0);
  for (Chunk at{0};;) {
    auto mapping = state.tree().next_mapping(at);
    if (!mapping.ok()) return mapping.status();
    if (!*mapping) return {};
    const Mapping& m = **mapping;
    if (m.chunks.start < at || m.chunks.end().value > sb.origin_chunks())
      walk.wrong = "mappings are out of order or beyond the volume";
    ShareMask seen = 0;
    for (unsigned i = 0; i < m.count && walk.wrong.empty(); ++i) {
      const Exception& e = m.exceptions[i];
      if (e.mask == 0 || (e.mask & seen) || (e.mask & ~walk.allowed))
        walk.wrong = "the mask of chunk " + std::to_string(m.chunks.start.value) + " is wrong";
      seen |= e.mask;
      if (is_lost(e.store)) {
        walk.wrong = "an exception is lost";
        continue;
      }
      for (std::uint64_t c = 0; c < m.chunks.count && walk.wrong.empty(); ++c) {
        const std::uint64_t place = e.store.value + c;
        if (place >= walk.used.size() || walk.used[place]) {
          walk.wrong = "store chunk " + std::to_string(place) + " is used twice, or is none";
          break;
        }
        walk.used[place] = true;
        ++walk.used_count;
        for (unsigned bit = 0; bit < kMaxSnapshots; ++bit)
          if (e.mask & walk.allowed & mask_of_bit(bit))
            walk.places[bit][m.chunks.start.value + c] = place + 1;
      }
    }
    if (!walk.wrong.empty()) return {};
    at = m.chunks.end();
  }
}

// Bitmaps and counts against what the tree uses.
std::string check_space(Walk& walk) {
  StoreState& state = walk.state;
  const Superblock& sb = state.superblock();
  if (walk.used_count != sb.exceptions)
    return "counted " + std::to_string(walk.used_count) + " exceptions, the superblock says " +
           std::to_string(sb.exceptions);
  std::uint64_t bits = 0;
  const std::uint64_t first = sb.data.reserved / sb.blocks_per_chunk();
  for (std::uint64_t c = first; c < sb.store_chunks(); ++c) {
    Result<bool> is_used = false;
    const Status status = state.with_blocks([&] {
      is_used = state.data().is_used(StoreChunk(c));
      return is_used.status();
    });
    if (!status.ok()) return status.to_string();
    bits += *is_used;
    if (walk.used[c] && !*is_used)
      return "the exception at store chunk " + std::to_string(c) + " lies in a chunk that is free";
  }
  if (sb.separate_metadata || sb.blocks_per_chunk() == 1) {
    const std::uint64_t metadata_chunks = sb.separate_metadata ? 0 : sb.tree_blocks;
    if (bits != walk.used_count + metadata_chunks)
      return std::to_string(bits) + " chunks in use, " + std::to_string(walk.used_count) +
             " exceptions, " + std::to_string(metadata_chunks) + " tree blocks";
  }
  const std::uint64_t all = sb.store_chunks() - first;
  if (sb.data.free_chunks != all - bits)
    return "free chunks: counted " + std::to_string(all - bits) + ", the superblock says " +
           std::to_string(sb.data.free_chunks);
  return {};
}

// Every copy has its checksum, also those of snapshots that are being deleted: what was freed is
// not used again before that is durable.
std::string check_data(Walk& walk, const MemoryVolume& store) {
  StoreState& state = walk.state;
  const unsigned shift = state.superblock().chunk_shift;
  std::vector<std::byte> bytes(std::size_t{1} << shift);
  for (std::uint64_t place = 0; place < walk.used.size(); ++place) {
    if (!walk.used[place]) continue;
    Result<std::uint32_t> crc = std::uint32_t{0};
    const Status status = state.with_blocks([&] {
      crc = state.checksums().get(StoreChunk(place));
      return crc.status();
    });
    if (!status.ok()) return status.to_string();
    store.peek(place << shift, bytes);
    if (*crc != 0 && *crc != stored_checksum(crc32c(bytes)))
      return "the data in store chunk " + std::to_string(place) + " does not have its checksum";
  }
  return {};
}

}  // namespace

// Who was told that a snapshot is there, gone, or called so, was told the truth.
std::string World::check_snapshots(const SnapshotTable& table) const {
  if (lied_ || context.damaged) return {};
  for (const auto& [id, known] : snapshots_) {
    const Snapshot* found = nullptr;
    for (const Snapshot& s : table.all())
      if (s.id == id && !s.deleting) found = &s;
    const std::string& name = *known.names.begin();
    if (found == nullptr && known.created && !known.delete_asked && !known.deleted)
      return "snapshot " + name + " is gone and nobody deleted it";
    if (found != nullptr && known.deleted) return "snapshot " + name + " was deleted and is there";
    if (found != nullptr && !known.names.contains(found->name))
      return "snapshot " + name + " is called " + found->name;
  }
  return {};
}

World::Media World::media() const {
  return {origin->volume(), store->volume(), metadata ? metadata->volume() : nullptr};
}

// What is wrong with the store; empty: nothing. data: the snapshots' content as well.
std::string World::check_recovered(const Media& media, Model& expected, bool data, bool checker) {
  MemoryDevice store_device(media.store);
  std::unique_ptr<MemoryDevice> metadata_device;
  if (media.metadata) metadata_device = std::make_unique<MemoryDevice>(media.metadata);
  Device& meta = metadata_device ? static_cast<Device&>(*metadata_device) : store_device;
  // The checker that users have; what follows looks at the same with other eyes.
  CheckOptions options;
  options.data = data;
  options.cache_bytes = 1u << 20;
  if (checker) {
    const auto report = csnap::check_store(store_device, metadata_device.get(), options);
    if (!report.ok()) return "the checker: " + report.status().to_string();
    for (const Finding& finding : report->findings)
      if (finding.severity == Severity::damage) return "the checker: " + to_string(finding);
    if (!report->complete) return "the checker did not get through";
  }
  auto recovered = recover(store_device, meta, 16u << 20);
  if (!recovered.ok()) return "recovery: " + recovered.status().to_string();
  StoreState& state = *recovered->state;
  Walk walk{state, state.snapshots().active() | state.snapshots().deleting(), {}, 0, {}, {}};
  const Status walked = state.with_blocks([&] { return walk_tree(walk); });
  if (!walked.ok()) return "walking the tree: " + walked.to_string();
  if (!walk.wrong.empty()) return walk.wrong;
  if (const auto wrong = check_space(walk); !wrong.empty()) return wrong;
  if (const auto wrong = check_snapshots(state.snapshots()); !wrong.empty()) return wrong;
  if (const auto wrong = check_transids(state); !wrong.empty()) return wrong;
  if (!data) return {};
  if (const auto wrong = check_data(walk, *media.store); !wrong.empty()) return wrong;
  const std::size_t chunk_size = std::size_t{1} << profile.chunk_shift;
  const std::uint64_t per_chunk = chunk_size / kUnit;
  std::vector<std::byte> bytes(chunk_size);
  for (const Snapshot& s : state.snapshots().all()) {
    const auto known = snapshots_.find(s.id);
    if (s.deleting || known == snapshots_.end() || known->second.deleted) continue;
    std::uint64_t digest = 0;
    for (std::uint64_t c = 0; c < profile.origin_chunks; ++c) {
      const std::uint64_t place = walk.places[s.bit][c];
      MemoryVolume& medium = place == 0 ? *media.origin : *media.store;
      medium.peek((place == 0 ? c : place - 1) * chunk_size, bytes);
      digest = digest * 1099511628211ULL + crc32c(bytes);
      const auto wrong = expected.check(s.id, {c * per_chunk, per_chunk}, bytes);
      if (!wrong.empty()) {
        if (!context.damaged) return wrong + " (at rest)";
        wrong_at_rest_ = wrong;
      }
    }
    if (const auto wrong = check_content(s, digest); !wrong.empty()) return wrong;
  }
  return {};
}

std::string World::check_unused(const Media& media, StoreRun run) const {
  MemoryDevice store_device(media.store);
  std::unique_ptr<MemoryDevice> metadata_device;
  if (media.metadata) metadata_device = std::make_unique<MemoryDevice>(media.metadata);
  Device& meta = metadata_device ? static_cast<Device&>(*metadata_device) : store_device;
  // What the newest whole checkpoint has in use, tree and data, is what replaying begins with.
  const auto on_disk = read_superblock(meta);
  if (!on_disk.ok()) return on_disk.status().to_string();
  auto survey = Recovery::survey(store_device, meta, *on_disk);
  const Status loaded = survey.ok() ? survey->load(16u << 20) : survey.status();
  if (!loaded.ok()) return "the last checkpoint: " + loaded.to_string();
  for (StoreChunk c = run.start; c < run.end(); ++c) {
    Result<bool> used = false;
    const Status status = survey->state().with_blocks([&] {
      used = survey->state().data().is_used(c);
      return used.status();
    });
    if (!status.ok()) return status.to_string();
    if (*used) return "store chunk " + std::to_string(c.value) + ", by the last checkpoint";
  }
  auto recovered = recover(store_device, meta, 16u << 20);
  if (!recovered.ok()) return "recovery: " + recovered.status().to_string();
  StoreState& state = *recovered->state;
  Walk walk{state, state.snapshots().active() | state.snapshots().deleting(), {}, 0, {}, {}};
  const Status walked = state.with_blocks([&] { return walk_tree(walk); });
  if (!walked.ok()) return walked.to_string();
  for (StoreChunk c = run.start; c < run.end(); ++c)
    if (walk.used[c.value])
      return "store chunk " + std::to_string(c.value) +
             ", by an exception that a crash would leave";
  return {};
}

void World::check_store(bool data) {
  wrong_at_rest_.clear();
  const std::string wrong = check_recovered(media(), model, data);
  if (wrong.empty() && wrong_at_rest_.empty()) return;
  if (!wrong.empty()) {
    if (!context.damaged) return fail("the store is wrong: " + wrong);
    trace([&] { return "the checker reports: " + wrong; });
    given_up_ = true;
    return;
  }
  fail("damage went unnoticed: " + wrong_at_rest_);
}

}  // namespace csnap::sim
