// SPDX-License-Identifier: Apache-2.0
// What tools do to a store that no server has: making it, changing it, repairing it.
#include <catch2/catch.hpp>

#include <algorithm>

#include "btree/node.h"
#include "server/check.h"
#include "server/offline.h"
#include "server/repair.h"
#include "test/faults/offline_ordeal.h"

namespace csnap {
namespace {

constexpr std::size_t kCache = 1u << 20;
constexpr std::uint64_t kChunks = 400;

RigOptions small(bool separate_metadata) {
  RigOptions options;
  options.origin_chunks = kChunks;
  options.store_bytes = 8u << 20;
  options.separate_metadata = separate_metadata;
  return options;
}

// Three snapshots, and a tree of some leaves.
void make_history(Rig& rig) {
  rig.open();
  std::mt19937_64 random(7);
  std::uint64_t tag = 1;
  for (const char* name : {"monday", "tuesday", "sunday"}) {
    require(rig.write_origin_now({Chunk(0), kChunks}, tag++).ok(), "write");
    require(rig.create(name).ok(), "create");
    for (int i = 0; i < 200; ++i)
      require(rig.write_origin_now({Chunk(random() % kChunks), 1}, tag++).ok(), "write");
  }
  rig.close();
}

// The same store again and again.
void put(Rig& rig, Rig& from) {
  rig.origin = from.origin->clone();
  rig.store = from.store->clone();
  if (from.metadata) rig.metadata = from.metadata->clone();
  rig.model() = from.model();
}

MemoryVolume& metadata_of(Rig& rig) {
  return rig.metadata ? *rig.metadata : *rig.store;
}

Result<Superblock> superblock_of(Rig& rig) {
  MemoryDevice device(rig.metadata ? rig.metadata : rig.store);
  return read_superblock(device);
}

void expect_whole(Rig& rig) {
  const std::string wrong = everything_wrong(rig);
  require(wrong.empty(), wrong);
}

// The same of a store that a tool did not get done with: but for its superblocks.
void expect_whole_below(Rig& rig) {
  const std::string wrong = everything_wrong(rig, CheckArea::superblock);
  require(wrong.empty(), wrong);
}

// -- mkstore -------------------------------------------------------------------------------------

OfflineOperation making(bool over_another, bool separate_metadata) {
  auto old = std::make_shared<Rig>(small(separate_metadata));
  make_history(*old);
  const auto was = std::make_shared<std::string>(state_of(*old));
  LayoutRequest request;
  request.uuid = Uuid::from_random(8, 9);
  request.origin_size = kChunks << kMinChunkShift;
  request.store_size = old->store->size();
  request.metadata_size = separate_metadata ? old->metadata->size() : 0;
  request.journal_size = 256u << 10;
  const Superblock plan = *plan_layout(request);

  OfflineOperation making;
  making.name = std::string("making a store") + (over_another ? " over another" : "") +
                (separate_metadata ? ", metadata elsewhere" : "");
  making.options = small(separate_metadata);
  making.prepare = [=](Rig& rig) {
    if (over_another) return put(rig, *old);
    rig.store = std::make_shared<MemoryVolume>("store", rig.store->size());
    if (rig.metadata) rig.metadata = std::make_shared<MemoryVolume>("metadata", 8u << 20);
  };
  making.act = [=](Device& store, Device* metadata) { return format_store(store, metadata, plan); };
  making.judge = [=](Rig& rig, const Status& outcome, bool crashed) {
    const auto found = superblock_of(rig);
    const bool made = found.ok() && found->uuid == plan.uuid;
    require(made || !outcome.ok() || crashed, "it was said to be made");
    if (made && outcome.ok() && !crashed)
      expect_whole(rig);
    else if (made)
      expect_whole_below(rig);
    else if (found.ok())
      require(over_another && state_of(rig) == *was, "neither the old store nor the new one");
    // Again, on healthy disks.
    MemoryDevice store(rig.store);
    std::unique_ptr<MemoryDevice> metadata;
    if (rig.metadata) metadata = std::make_unique<MemoryDevice>(rig.metadata);
    require(format_store(store, metadata.get(), plan).ok(), "it cannot be made again");
    expect_whole(rig);
    require(superblock_of(rig)->uuid == plan.uuid, "another store");
  };
  return making;
}

// -- changes by a tool ---------------------------------------------------------------------------

constexpr std::uint64_t kEdits = 4;

// Takes a run from all snapshots, then marks it as lost; with a journal as small as these, either
// may be on the disk without the other.
Status edit(OfflineStore& store, std::uint64_t number) {
  StoreState& state = store.state();
  const ChunkRun run{Chunk(number / 2 * 90), 40};
  const ShareMask mask = state.snapshots().active();
  std::vector<StoreRun> freed;
  if (number % 2 == 0)
    return store.edit([&] { return state.apply(SharesCleared{run, mask}, freed); });
  return store.edit([&]() -> Status {
    CSNAP_TRY(state.tree().prepare(run, ExceptionTree::Change::insert));
    state.tree().insert(run, lost_store(run.start), mask);
    return {};
  });
}

// told: after each that is durable, from opening on.
Status change(Device& store, Device* metadata, std::uint64_t edits,
              const std::function<void()>& told) {
  CSNAP_ASSIGN(auto offline, OfflineStore::open(store, metadata, kCache, "a test"));
  told();
  for (std::uint64_t i = 0; i < edits; ++i) {
    CSNAP_TRY(edit(*offline, i));
    CSNAP_TRY(offline->checkpoint());
    told();
  }
  CSNAP_TRY(offline->finish());
  told();
  return {};
}

OfflineOperation changing(bool separate_metadata) {
  auto old = std::make_shared<Rig>(small(separate_metadata));
  make_history(*old);
  // What the store is after each checkpoint.
  auto states = std::make_shared<std::vector<std::string>>();
  for (std::uint64_t edits = 0; edits <= kEdits; ++edits) {
    Rig rig(small(separate_metadata));
    put(rig, *old);
    MemoryDevice store(rig.store);
    std::unique_ptr<MemoryDevice> metadata;
    if (rig.metadata) metadata = std::make_unique<MemoryDevice>(rig.metadata);
    const Status changed = change(store, metadata.get(), edits, [] {});
    require(changed.ok(), changed.to_string());
    states->push_back(state_of(rig));
  }
  auto durable = std::make_shared<std::uint64_t>();

  OfflineOperation changing;
  changing.name =
      std::string("a tool's changes") + (separate_metadata ? ", metadata elsewhere" : "");
  changing.options = small(separate_metadata);
  changing.prepare = [=](Rig& rig) {
    *durable = 0;
    put(rig, *old);
  };
  changing.act = [=](Device& store, Device* metadata) {
    return change(store, metadata, kEdits, [=] { ++*durable; });
  };
  changing.judge = [=](Rig& rig, const Status& outcome, bool crashed) {
    expect_whole_below(rig);
    const std::string state = state_of(rig);
    const auto at = std::find(states->begin(), states->end(), state) - states->begin();
    const auto reached = static_cast<std::uint64_t>(at);
    require(reached <= kEdits, "it is none of the states between the changes");
    require(reached + 1 >= *durable || *durable > kEdits, "a change is gone that was durable");
    const Superblock found = *superblock_of(rig);
    require(!outcome.ok() || crashed || (!found.repairing && found.clean), "it is not finished");
    if (found.repairing)
      require(rig.try_open().code() == Code::corrupt, "a server takes a store half changed");
    // Somebody comes back to it.
    MemoryDevice store(rig.store);
    std::unique_ptr<MemoryDevice> metadata;
    if (rig.metadata) metadata = std::make_unique<MemoryDevice>(rig.metadata);
    const Status again = change(store, metadata.get(), 0, [] {});
    require(again.ok(), "it cannot be finished: " + again.to_string());
    require(state_of(rig) == state, "finishing changed it");
    expect_whole(rig);
    const Status opened = rig.try_open();
    require(opened.ok(), "it cannot be opened: " + opened.to_string());
    rig.kill();
  };
  return changing;
}

// -- repair --------------------------------------------------------------------------------------

Result<RepairReport> repair(Device& store, Device* metadata) {
  RepairOptions options;
  options.holder = "a test";
  return repair_store(store, metadata, options);
}

OfflineOperation repairing(bool separate_metadata) {
  auto old = std::make_shared<Rig>(small(separate_metadata));
  make_history(*old);
  const Superblock superblock = *superblock_of(*old);
  require(superblock.tree_levels == 2, "the tree is too small");
  // A leaf is lost, and a block of the bitmap is wrong.
  MemoryVolume& volume = metadata_of(*old);
  const auto root = volume.bytes(superblock.tree_root.value * kBlockSize, kBlockSize);
  const NodeView node{ConstBlock(root.data(), kBlockSize)};
  const std::byte rubbish[64]{};
  volume.poke(node.entry(1).child.value * kBlockSize + 100, rubbish);
  volume.poke(superblock.data.bitmap.value * kBlockSize + 1000, rubbish);
  // An untroubled one.
  auto whole = std::make_shared<Rig>(small(separate_metadata));
  put(*whole, *old);
  {
    MemoryDevice store(whole->store);
    std::unique_ptr<MemoryDevice> metadata;
    if (whole->metadata) metadata = std::make_unique<MemoryDevice>(whole->metadata);
    const auto report = repair(store, metadata.get());
    require(report.ok(), "repair: " + report.status().to_string());
    require(!report->lost.empty() && !report->after.damaged(), "it was no repair");
  }
  const auto repaired = std::make_shared<std::string>(state_of(*whole));

  OfflineOperation repairing;
  repairing.name = std::string("repair") + (separate_metadata ? ", metadata elsewhere" : "");
  repairing.options = small(separate_metadata);
  repairing.prepare = [=](Rig& rig) { put(rig, *old); };
  repairing.act = [](Device& store, Device* metadata) {
    const auto report = repair(store, metadata);
    if (!report.ok()) return report.status();
    return report->after.damaged() ? Status(Code::corrupt, "still damaged") : Status();
  };
  repairing.judge = [=](Rig& rig, const Status& outcome, bool crashed) {
    if (outcome.ok() && !crashed) expect_whole(rig);
    const auto found = superblock_of(rig);
    require(found.ok(), "the superblocks are gone: " + found.status().to_string());
    if (found->repairing)
      require(rig.try_open().code() == Code::corrupt, "a server takes a store half repaired");
    MemoryDevice store(rig.store);
    std::unique_ptr<MemoryDevice> metadata;
    if (rig.metadata) metadata = std::make_unique<MemoryDevice>(rig.metadata);
    const auto again = repair(store, metadata.get());
    require(again.ok(), "it cannot be repaired again: " + again.status().to_string());
    require(!again->after.damaged(), "damaged after the second repair");
    require(state_of(rig) == *repaired, "another state than that of a repair without trouble");
    expect_whole(rig);
    require(rig.try_open().ok(), "it cannot be opened");
    rig.kill();
  };
  return repairing;
}

}  // namespace

TEST_CASE("Whatever I/O of making a store goes wrong, there is the old store, none, or the new") {
  for (const bool over_another : {false, true})
    for (const bool separate_metadata : {false, true})
      undergo_all(making(over_another, separate_metadata));
}

TEST_CASE("Whatever I/O of a tool's changes goes wrong, each is there as a whole or not at all") {
  for (const bool separate_metadata : {false, true}) undergo_all(changing(separate_metadata));
}

TEST_CASE("Whatever I/O of a repair goes wrong, it can be done again and loses nothing more") {
  for (const bool separate_metadata : {false, true}) undergo_all(repairing(separate_metadata));
}

}  // namespace csnap
