// SPDX-License-Identifier: Apache-2.0
// Exceptions whose data repair found lost, and stores that a tool is not done with.
#include <catch2/catch.hpp>

#include "server/offline.h"
#include "test/engine/rig.h"

namespace csnap {
namespace {

constexpr std::size_t kCache = 1u << 20;

// The store of a rig that is not open, changed by a tool.
template <class Edit>
Status change(Rig& rig, Edit&& edit, bool finish = true) {
  MemoryDevice device(rig.store);
  CSNAP_ASSIGN(auto store, OfflineStore::open(device, nullptr, kCache, "a test"));
  CSNAP_TRY(edit(*store));
  return finish ? store->finish() : Status();
}

// What repair does with a run of which nothing is left.
Status lose(OfflineStore& store, ChunkRun run, ShareMask mask) {
  StoreState& state = store.state();
  std::vector<StoreRun> freed;
  CSNAP_TRY(store.edit([&] { return state.apply(SharesCleared{run, mask}, freed); }));
  return store.edit([&]() -> Status {
    CSNAP_TRY(state.tree().prepare(run, ExceptionTree::Change::insert));
    state.tree().insert(run, lost_store(run.start), mask);
    return {};
  });
}

struct LostRig : Rig {
  LostRig() {
    open();
    REQUIRE(write_origin_now({Chunk(0), 64}, 1).ok());
    snapshot = create("monday")->id;
    other = create("tuesday")->id;
    REQUIRE(write_origin_now({Chunk(0), 64}, 2).ok());
    close();
  }
  // What reading says, without asking what was read.
  Status read(SnapshotId id, ChunkRun run) {
    Status outcome;
    bool told = false;
    engine().snapshot_read(client(id), {run}, [&](const Result<ReadGrant>& grant) {
      outcome = grant.status();
      if (grant.ok()) engine().finish_read(client(id), grant->id);
      told = true;
    });
    until([&] { return told; });
    return outcome;
  }
  SnapshotId snapshot, other;
};

}  // namespace

TEST_CASE("Lost chunks are an error to whoever reads them, and to nobody else") {
  LostRig rig;
  REQUIRE(change(rig, [](OfflineStore& s) { return lose(s, {Chunk(10), 5}, 1); }).ok());
  REQUIRE(rig.check_store() == "");
  rig.open();
  CHECK(rig.read(rig.snapshot, {Chunk(12), 1}).code() == Code::lost);
  CHECK(rig.read(rig.snapshot, {Chunk(0), 64}).code() == Code::lost);
  CHECK(rig.read(rig.snapshot, {Chunk(0), 10}).ok());
  CHECK(rig.read(rig.snapshot, {Chunk(15), 49}).ok());
  CHECK(rig.read(rig.other, {Chunk(0), 64}).ok());
  CHECK(rig.write_origin_now({Chunk(8), 8}, 3).ok());
  CHECK(rig.mismatches() == 0);
}

TEST_CASE("Overwriting lost chunks makes them readable again; writing parts of them does not") {
  LostRig rig;
  // One for monday alone, one for both.
  REQUIRE(change(rig, [](OfflineStore& s) { return lose(s, {Chunk(10), 2}, 1); }).ok());
  REQUIRE(change(rig, [](OfflineStore& s) { return lose(s, {Chunk(20), 2}, 3); }).ok());
  rig.open();
  for (const std::uint64_t at : {10, 20}) {
    const ChunkRun run{Chunk(at), 1};
    CHECK(rig.write_snapshot_now(rig.snapshot, run, 7, false).code() == Code::lost);
    CHECK(rig.read(rig.snapshot, run).code() == Code::lost);
    REQUIRE(rig.write_snapshot_now(rig.snapshot, run, 8, true).ok());
    CHECK(rig.read(rig.snapshot, run).ok());
    REQUIRE(rig.write_snapshot_now(rig.snapshot, run, 9, false).ok());
    CHECK(rig.read(rig.snapshot, {Chunk(at + 1), 1}).code() == Code::lost);
  }
  CHECK(rig.read(rig.other, {Chunk(20), 1}).code() == Code::lost);
  rig.kill();
  REQUIRE(rig.check_store() == "");
  rig.open();
  CHECK(rig.read(rig.snapshot, {Chunk(10), 1}).ok());
  CHECK(rig.read(rig.other, {Chunk(20), 1}).code() == Code::lost);
}

TEST_CASE("Deleting a snapshot that has lost chunks frees the rest of it") {
  LostRig rig;
  REQUIRE(change(rig, [](OfflineStore& s) { return lose(s, {Chunk(0), 20}, 3); }).ok());
  rig.open();
  REQUIRE(rig.remove("monday").ok());
  REQUIRE(rig.remove("tuesday").ok());
  rig.until_idle();
  CHECK(rig.engine().status().superblock.exceptions == 0);
  CHECK(rig.engine().status().superblock.tree_levels == 0);
  rig.close();
  REQUIRE(rig.check_store() == "");
}

TEST_CASE("A store that a tool is not done with is not served") {
  LostRig rig;
  const auto edit = [](OfflineStore& s) { return lose(s, {Chunk(3), 1}, 1); };
  REQUIRE(change(rig, edit, false).ok());
  const Status refused = rig.try_open();
  CHECK(refused.code() == Code::corrupt);
  CHECK(refused.message().find("csnap-check --repair") != std::string::npos);
  REQUIRE(change(rig, edit).ok());
  rig.open();
  CHECK(rig.read(rig.snapshot, {Chunk(3), 1}).code() == Code::lost);
}

}  // namespace csnap
