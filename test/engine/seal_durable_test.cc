// SPDX-License-Identifier: Apache-2.0
// Whoever is told of a seal can rely on it: the content, and the transid, are durable then.
#include <catch2/catch.hpp>

#include "test/engine/seals.h"

namespace csnap {
namespace {

std::vector<std::byte> bytes_of(Rig& rig, const std::string& name) {
  const Snapshot snapshot = snapshot_now(rig, name);
  const auto key = open_session(rig, 3, snapshot.id, Access::read);
  REQUIRE(key.ok());
  std::vector<std::byte> all;
  for (const ReadPiece& piece : pieces_read(rig, *key, {Chunk(0), 64}, 0)) {
    const auto& medium = piece.on_origin ? rig.origin : rig.store;
    const std::uint64_t first = piece.on_origin ? piece.chunks.start.value : piece.store.value;
    const auto bytes = medium->bytes(first << 12, piece.chunks.count << 12);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  close_session(rig, *key);
  return all;
}

}  // namespace

TEST_CASE("What a sealed snapshot holds stays through a power cut that nobody flushed for") {
  Rig rig(GENERATE(RigOptions(), with_metadata_apart()));
  rig.open();
  rig.until_idle();
  // The rig's clients flush nothing of the origin.
  const Snapshot made = make_snapshot(rig, "a");
  const bool in_place = GENERATE(false, true);
  if (in_place) {
    REQUIRE(rig.write_snapshot_now(made.id, kWritten, 5, false).ok());
    std::vector<WritePiece> places;
    rig.engine().snapshot_write(
        rig.client(made.id), {kWritten}, false,
        [&](const Result<std::vector<WritePiece>>& pieces) { places = *pieces; });
    rig.until([&] { return !places.empty(); });
    // Written, and not flushed; then its writer goes.
    MemoryDevice device(rig.store);
    const std::vector<std::byte> bytes(4096, std::byte{42});
    REQUIRE(write_sync(device, places[0].store.value << 12, bytes).ok());
    rig.drop_client(made.id);
  }
  REQUIRE(rig.origin->unflushed() > 0);
  const auto sealed = seal(rig, "a");
  REQUIRE(sealed.ok());
  CHECK(sealed->transid == made.transid + (in_place ? 1 : 0));
  const auto before = bytes_of(rig, "a");
  lose_power(rig);
  CHECK(snapshot_now(rig, "a").transid == sealed->transid);
  CHECK_FALSE(snapshot_now(rig, "a").written);
  CHECK(bytes_of(rig, "a") == before);
}

TEST_CASE("A seal that cannot make the content durable is refused") {
  Rig rig;
  rig.faults = std::make_shared<FaultPlan>();
  rig.open();
  make_snapshot(rig, "a");
  rig.faults->fail(1, FaultPlan::flushes());
  CHECK(seal(rig, "a").status().code() == Code::io_error);
  CHECK(seal(rig, "a").ok());
}

TEST_CASE("What is sealed and was not written to since is sealed again without a flush") {
  Rig rig(GENERATE(RigOptions(), with_metadata_apart()));
  rig.open();
  const auto flushes_to_seal = [&](const std::string& name) {
    const std::uint64_t before = rig.origin->counters().flushes;
    REQUIRE(seal(rig, name).ok());
    return rig.origin->counters().flushes - before;
  };
  const Snapshot a = make_snapshot(rig, "a");
  CHECK(flushes_to_seal("a") == 1);
  CHECK(flushes_to_seal("a") == 0);
  REQUIRE(rig.write_snapshot_now(a.id, kWritten, 5, false).ok());
  rig.drop_client(a.id);
  rig.until_idle();
  CHECK(flushes_to_seal("a") == 1);
  CHECK(flushes_to_seal("a") == 0);
  // Another one in its place.
  REQUIRE(rig.remove("a").ok());
  rig.until_idle();
  REQUIRE(make_snapshot(rig, "b").bit == a.bit);
  CHECK(flushes_to_seal("b") == 1);
  const auto content = bytes_of(rig, "b");
  // The origin goes on, and the disks forget what nobody flushed.
  REQUIRE(rig.write_origin_now({Chunk(0), 32}, 2).ok());
  CHECK(flushes_to_seal("b") == 0);
  REQUIRE(rig.origin->unflushed() > 0);
  lose_power(rig);
  CHECK(bytes_of(rig, "b") == content);
  CHECK(flushes_to_seal("b") == 1);
}

TEST_CASE("A seal that finds another under way is told when that is durable") {
  for (std::uint64_t turns = 0; turns < 12; ++turns) {
    INFO(turns << " turns between the two");
    Rig rig(with_metadata_apart());
    rig.open();
    const Snapshot made = make_snapshot(rig, "s");
    REQUIRE(rig.write_snapshot_now(made.id, kWritten, 5, false).ok());
    rig.drop_client(made.id);
    rig.until_idle();
    const std::uint64_t before = rig.engine().status().commits;
    rig.engine().seal_snapshot("s", [](const Result<Snapshot>&) {});
    rig.turns(turns);
    std::optional<Snapshot> told;
    rig.engine().seal_snapshot("s", [&](const Result<Snapshot>& s) {
      CHECK(rig.engine().status().commits > before);
      told = *s;
    });
    for (int turn = 0; turn < 1000 && !told; ++turn) rig.turns(1);
    REQUIRE(told);
    lose_power(rig);
    const Snapshot now = snapshot_now(rig, "s");
    CHECK(now.transid == told->transid);
    CHECK_FALSE(now.written);
  }
}

TEST_CASE("No transid is told twice, whenever the power fails") {
  for (std::uint64_t turns = 0; turns < 24; ++turns) {
    INFO(turns << " turns");
    Rig rig;
    rig.open();
    const Snapshot made = make_snapshot(rig, "a");
    REQUIRE(rig.write_snapshot_now(made.id, kWritten, 5, false).ok());
    rig.drop_client(made.id);
    std::uint64_t told = 0;
    rig.engine().seal_snapshot("a", [&](const Result<Snapshot>& sealed) {
      if (sealed.ok()) told = sealed->transid;
    });
    std::uint64_t created = 0;
    rig.engine().create_snapshot("b", std::nullopt, [&](const Result<Snapshot>& other) {
      if (other.ok()) created = other->id.value;
    });
    rig.turns(turns);
    lose_power(rig, turns % 2 != 0);
    const Snapshot now = snapshot_now(rig, "a");
    const std::uint64_t next = rig.engine().status().superblock.next_snapshot.value;
    CHECK(now.written == (now.transid == made.transid));
    if (told != 0) CHECK(now.transid == told);
    if (created != 0) CHECK(rig.engine().find_snapshot("b").ok());
    CHECK(next > std::max({told, created, now.transid}));
    if (told != 0) CHECK(created != told);
  }
}

}  // namespace csnap
