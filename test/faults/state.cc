// SPDX-License-Identifier: Apache-2.0
// What a store at rest holds, and whether that is sound.
#include <memory>
#include <utility>

#include "server/recovery.h"
#include "store/crc.h"
#include "test/faults/ordeal.h"

namespace csnap {
namespace {

constexpr std::size_t kCache = 16u << 20;

struct Devices {
  explicit Devices(Rig& rig) : store(rig.store) {
    if (rig.metadata) own_metadata = std::make_unique<MemoryDevice>(rig.metadata);
  }
  MemoryDevice store;
  std::unique_ptr<MemoryDevice> own_metadata;
  Device& metadata() { return own_metadata ? static_cast<Device&>(*own_metadata) : store; }
};

std::uint32_t medium(const MemoryVolume& volume) {
  return crc32c(volume.bytes(0, volume.size()));
}

std::string exceptions_of(StoreState& state) {
  std::string text;
  for (Chunk at{0};;) {
    std::optional<Mapping> mapping;
    const Status status = state.with_blocks([&]() -> Status {
      CSNAP_ASSIGN(mapping, state.tree().next_mapping(at));
      return {};
    });
    require(status.ok(), "walking the tree: " + status.to_string());
    if (!mapping) return text;
    for (unsigned i = 0; i < mapping->count; ++i) {
      const Exception& e = mapping->exceptions[i];
      text += std::to_string(mapping->chunks.start.value) + "+" +
              std::to_string(mapping->chunks.count) + " at " + std::to_string(e.store.value) +
              " of " + std::to_string(e.mask) + ":";
      for (std::uint64_t c = 0; c < mapping->chunks.count && !is_lost(e.store); ++c) {
        Result<std::uint32_t> crc = 0;
        const Status got = state.with_blocks([&] {
          crc = state.checksums().get(StoreChunk(e.store.value + c));
          return crc.status();
        });
        require(got.ok(), "reading a checksum: " + got.to_string());
        text += " " + std::to_string(*crc);
      }
      text += "\n";
    }
    at = mapping->chunks.end();
  }
}

std::string tables_of(const StoreState& state) {
  std::string text;
  for (const auto& s : state.snapshots().all())
    text += "snapshot " + std::to_string(s.id.value) + " " + s.uuid.to_string() + " '" + s.name +
            "' bit " + std::to_string(s.bit) + (s.deleting ? " deleting" : "") + " transid " +
            std::to_string(s.transid) + (s.written ? " written" : "") +
            (s.received ? " received as " + s.received->identity.to_string() : "") + " up to " +
            std::to_string(s.deleted_up_to.value) + "\n";
  return text;
}

std::string clients_of(StoreState& state) {
  std::string text;
  for (const auto& c : state.clients().all()) {
    text += "client " + c.id.to_string() + " of " + std::to_string(c.volume.value);
    for (const StoreRun& pool : c.pools)
      text += " " + std::to_string(pool.start.value) + "+" + std::to_string(pool.count);
    text += "\n";
  }
  return text;
}

}  // namespace

std::string state_of(Rig& rig) {
  Devices devices(rig);
  auto recovered = recover(devices.store, devices.metadata(), kCache);
  require(recovered.ok(), "recovery: " + recovered.status().to_string());
  StoreState& state = *recovered->state;
  const Superblock& s = state.superblock();
  return s.uuid.to_string() + " exceptions " + std::to_string(s.exceptions) + ", tree blocks " +
         std::to_string(s.tree_blocks) + " levels " + std::to_string(s.tree_levels) +
         ", free chunks " + std::to_string(s.data.free_chunks) + ", free blocks " +
         std::to_string(s.data.free_blocks) + " and " + std::to_string(s.metadata.free_blocks) +
         ", next snapshot " + std::to_string(s.next_snapshot.value) + ", role " +
         std::to_string(static_cast<int>(std::as_const(state).replication().role)) +
         (std::as_const(state).replication().receiving
              ? " receiving " + std::as_const(state).replication().receiving->name
              : "") +
         "\n" + tables_of(state) + clients_of(state) + exceptions_of(state);
}

std::string everything_wrong(Rig& rig, std::optional<CheckArea> but) {
  Devices devices(rig);
  CheckOptions options;
  options.data = true;
  options.cache_bytes = kCache;
  const auto report = check_store(devices.store, devices.own_metadata.get(), options);
  if (!report.ok()) return "the check: " + report.status().to_string();
  std::string wrong;
  for (const Finding& finding : report->findings)
    if (finding.severity != Severity::note && finding.area != but)
      wrong += to_string(finding) + "\n";
  return wrong;
}

void judge_at_rest(Rig& rig) {
  const std::uint32_t store = medium(*rig.store),
                      metadata = rig.metadata ? medium(*rig.metadata) : 0;
  const std::string wrong = everything_wrong(rig);
  require(wrong.empty(), "the store: " + wrong);
  const std::string state = state_of(rig);
  require(state_of(rig) == state, "a second recovery finds something else");
  require(medium(*rig.store) == store && (!rig.metadata || medium(*rig.metadata) == metadata),
          "recovery writes");
  // A server takes it over, and dies.
  require(rig.try_open().ok(), "it cannot be opened");
  rig.kill();
  require(state_of(rig) == state, "another state after a server took it over");
  const Status again = rig.try_open();
  require(again.ok(), "it cannot be opened again: " + again.to_string());
  rig.power_cut();
  require(state_of(rig) == state, "another state after a server took it over and lost power");
}

}  // namespace csnap
