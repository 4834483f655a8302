// SPDX-License-Identifier: Apache-2.0
#include "store/tables.h"

#include <functional>

#include "store/tables_format.h"
#include "test/store/store_fixture.h"

using namespace csnap;

namespace {

Snapshot snapshot(std::uint64_t id, unsigned bit, const std::string& name) {
  Snapshot s;
  s.id = SnapshotId(id);
  s.uuid = Uuid::from_random(id, bit);
  s.name = name;
  s.created = 1700000000000000000 + id;
  s.bit = bit;
  return s;
}

struct Fixture : StoreFixture {
  Fixture() { superblock.next_snapshot = SnapshotId(100000); }

  SnapshotTable snapshots_again() {
    const auto table = SnapshotTable::decode(*cache, superblock);
    REQUIRE(table.ok());
    return *table;
  }
  // Changes entry `i` of the first block of the table as a hostile writer would, and decodes.
  template <class Disk>
  Code tampered(BlockAddress start, BlockKind kind, std::size_t i,
                const std::function<void(Disk&)>& change) {
    auto block = cache->edit(start, kind);
    REQUIRE(block.ok());
    change(view_as<Disk>(block->subspan(sizeof(BlockHeader) + i * sizeof(Disk))));
    return kind == BlockKind::snapshots ? SnapshotTable::decode(*cache, superblock).status().code()
                                        : ClientTable::decode(*cache, superblock).status().code();
  }
};

}  // namespace

TEST_CASE("names of snapshots are plain text that fits a path") {
  for (const char* good : {"a", "before upgrade", "Büro 2024", "snap.1", "...", "ORIGIN", "日本"})
    CHECK(check_snapshot_name(good).ok());
  CHECK(check_snapshot_name(std::string(64, 'n')).ok());
  for (const char* bad : {"", ".", "..", "origin", "a/b", "tab\t", "line\n", "\x7f", "\xc2\x85",
                          "\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"})
    CHECK(check_snapshot_name(bad).code() == Code::invalid);
  CHECK(check_snapshot_name(std::string(65, 'n')).code() == Code::invalid);
  CHECK(check_snapshot_name(std::string("a\0b", 3)).code() == Code::invalid);
}

TEST_CASE("snapshots are found by id, by name while they live, and by bit") {
  SnapshotTable table;
  REQUIRE(table.add(snapshot(7, 3, "seven")).ok());
  REQUIRE(table.add(snapshot(2, 0, "two")).ok());
  CHECK(table.all()[0].id.value == 2);
  CHECK(table.active() == 0b1001);
  CHECK(table.free_bit() == 1u);
  CHECK(table.find_live("seven")->bit == 3);
  CHECK(table.find_bit(3)->name == "seven");
  REQUIRE(table.start_deletion(SnapshotId(7)).ok());
  CHECK(table.active() == 1);
  CHECK(table.deleting() == 0b1000);
  CHECK(table.find_live("seven") == nullptr);
  CHECK(table.find_live(SnapshotId(7)) == nullptr);
  CHECK(table.find(SnapshotId(7)) != nullptr);
  CHECK(table.find_bit(3) != nullptr);
  REQUIRE(table.remove(SnapshotId(7)).ok());
  CHECK(table.find(SnapshotId(7)) == nullptr);
  CHECK(table.remove(SnapshotId(7)).code() == Code::stale);
}

TEST_CASE("a name is free again as soon as its snapshot is being deleted, its bit later") {
  SnapshotTable table;
  REQUIRE(table.add(snapshot(1, 0, "daily")).ok());
  CHECK(table.add(snapshot(2, 1, "daily")).code() == Code::exists);
  REQUIRE(table.start_deletion(SnapshotId(1)).ok());
  CHECK(table.start_deletion(SnapshotId(1)).code() == Code::stale);
  CHECK(table.add(snapshot(2, 0, "daily")).code() == Code::exists);
  CHECK(table.add(snapshot(1, 1, "daily")).code() == Code::exists);
  CHECK(table.add(snapshot(2, 1, "daily")).ok());
  CHECK(table.find_live("daily")->id.value == 2);
}

TEST_CASE("renaming keeps names apart") {
  SnapshotTable table;
  REQUIRE(table.add(snapshot(1, 0, "a")).ok());
  REQUIRE(table.add(snapshot(2, 1, "b")).ok());
  CHECK(table.rename(SnapshotId(1), "b").code() == Code::exists);
  CHECK(table.rename(SnapshotId(1), "a").ok());
  CHECK(table.rename(SnapshotId(1), "x/y").code() == Code::invalid);
  CHECK(table.rename(SnapshotId(9), "c").code() == Code::stale);
  REQUIRE(table.rename(SnapshotId(1), "c").ok());
  CHECK(table.find_live("c")->id.value == 1);
}

TEST_CASE_METHOD(Fixture, "64 snapshots fit, are stored and come back") {
  SnapshotTable table;
  for (unsigned i = 0; i < 64; ++i)
    REQUIRE(table.add(snapshot(100 + i, i, "s" + std::to_string(i))).ok());
  CHECK(table.free_bit() == std::nullopt);
  CHECK(table.add(snapshot(1000, 0, "more")).code() == Code::no_space);
  REQUIRE(table.start_deletion(SnapshotId(110)).ok());
  table.find(SnapshotId(110))->deleted_up_to = Chunk(12345);
  REQUIRE(table.rename(SnapshotId(111), std::string(64, 'z')).ok());
  REQUIRE(table.set_written(SnapshotId(112)).ok());
  REQUIRE(table.set_received(SnapshotId(113), {{Uuid::from_random(8, 9), 7}, std::string(104, 'p')})
              .ok());
  REQUIRE(table.seal(SnapshotId(114), 900).ok());
  REQUIRE(table.encode(*cache, superblock).ok());
  CHECK(snapshots_again() == table);
  checkpoint();
  cache = std::make_unique<BlockCache>(device, superblock.uuid, 1 << 20);
  CHECK(snapshots_again() == table);
}

TEST_CASE("what a snapshot was received as goes when it is written to") {
  SnapshotTable table;
  REQUIRE(table.add(snapshot(5, 0, "a")).ok());
  const Snapshot& entry = *table.find(SnapshotId(5));
  CHECK(entry.transid == 5);
  CHECK(table.set_received(SnapshotId(5), {{Uuid::from_random(1, 1), 2}, "a\nb"}).code() ==
        Code::invalid);
  REQUIRE(table.set_received(SnapshotId(5), {{Uuid::from_random(1, 1), 2}, "f"}).ok());
  REQUIRE(entry.received);
  REQUIRE(table.set_written(SnapshotId(5)).ok());
  CHECK(entry.written);
  CHECK(!entry.received);
  CHECK(table.seal(SnapshotId(5), 5).code() == Code::invalid);
  REQUIRE(table.seal(SnapshotId(5), 9).ok());
  CHECK(!entry.written);
  CHECK(entry.transid == 9);
  REQUIRE(table.start_deletion(SnapshotId(5)).ok());
  CHECK(table.set_written(SnapshotId(5)).code() == Code::stale);
  CHECK(table.seal(SnapshotId(5), 10).code() == Code::stale);
}

TEST_CASE_METHOD(Fixture, "a table that did not change makes no block dirty") {
  SnapshotTable table = snapshots_again();
  REQUIRE(table.encode(*cache, superblock).ok());
  CHECK(cache->dirty() == 0);
  REQUIRE(table.add(snapshot(1, 0, "a")).ok());
  REQUIRE(table.encode(*cache, superblock).ok());
  CHECK(cache->dirty() == 1);
}

TEST_CASE_METHOD(Fixture, "a snapshot table with an impossible entry is corrupt") {
  SnapshotTable table;
  REQUIRE(table.add(snapshot(1, 0, "a")).ok());
  REQUIRE(table.add(snapshot(2, 1, "b")).ok());
  REQUIRE(table.encode(*cache, superblock).ok());
  using Change = std::function<void(SnapshotDisk&)>;
  const std::vector<std::pair<const char*, Change>> changes{
      {"bit 64", [](SnapshotDisk& d) { d.bit.set(64); }},
      {"a bit twice", [](SnapshotDisk& d) { d.bit.set(0); }},
      {"an id twice", [](SnapshotDisk& d) { d.id.set(1); }},
      {"the origin's id", [](SnapshotDisk& d) { d.id.set(0); }},
      {"an id of the future", [](SnapshotDisk& d) { d.id.set(100000); }},
      {"a name twice", [](SnapshotDisk& d) { d.name[0] = 'a'; }},
      {"no name", [](SnapshotDisk& d) { d.name_length.set(0); }},
      {"a name with a slash", [](SnapshotDisk& d) { d.name[0] = '/'; }},
      {"a name too long", [](SnapshotDisk& d) { d.name_length.set(65); }},
      {"unknown flags", [](SnapshotDisk& d) { d.flags.set(8); }},
      {"a transid below the id", [](SnapshotDisk& d) { d.transid.set(1); }},
      {"a transid of the future", [](SnapshotDisk& d) { d.transid.set(100000); }},
      {"received without a path", [](SnapshotDisk& d) { d.flags.set(kSnapshotReceived); }},
      {"received and written",
       [](SnapshotDisk& d) {
         d.flags.set(kSnapshotReceived | kSnapshotWritten);
         d.path_length.set(1);
         d.path[0] = 'p';
       }},
      {"deleted beyond the origin", [](SnapshotDisk& d) { d.deleted_up_to.set(1ULL << 60); }},
  };
  for (const auto& [name, change] : changes) {
    INFO(name);
    SnapshotDisk before;
    CHECK(tampered<SnapshotDisk>(superblock.snapshots, BlockKind::snapshots, 1,
                                 [&, c = change](SnapshotDisk& disk) {
                                   before = disk;
                                   c(disk);
                                 }) == Code::corrupt);
    CHECK(tampered<SnapshotDisk>(superblock.snapshots, BlockKind::snapshots, 1,
                                 [&](SnapshotDisk& disk) { disk = before; }) == Code::ok);
  }
  CHECK(tampered<SnapshotDisk>(superblock.snapshots, BlockKind::snapshots, 0, [](SnapshotDisk& d) {
          d = SnapshotDisk{};
        }) == Code::corrupt);  // a hole before an entry
}

TEST_CASE_METHOD(Fixture, "what is known of streams is stored behind the sessions") {
  const Replication none;
  CHECK(*decode_replication(*cache, superblock) == none);
  REQUIRE(encode_replication(none, *cache, superblock).ok());
  CHECK(cache->dirty() == 0);
  const Replication replication{ReplicationRole::replica,
                                UnfinishedReceive{"monday",
                                                  {Uuid::from_random(5, 6), 3},
                                                  std::nullopt,
                                                  kOrigin,
                                                  "volume.img",
                                                  8192,
                                                  true,
                                                  false},
                                {{Uuid::from_random(7, 8), "127.0.0.1:7680", SnapshotId(2), 77}}};
  REQUIRE(encode_replication(replication, *cache, superblock).ok());
  CHECK(cache->dirty() == 1);
  checkpoint();
  cache = std::make_unique<BlockCache>(device, superblock.uuid, 1 << 20);
  CHECK(*decode_replication(*cache, superblock) == replication);
  CHECK(ClientTable::decode(*cache, superblock)->all().empty());
  const BlockAddress last = superblock.clients + (superblock.client_blocks - 1);
  const auto block = cache->edit(last, BlockKind::clients);
  REQUIRE(block.ok());
  view_as<ReplicationDisk>(block->subspan(sizeof(BlockHeader))).role.set(9);
  CHECK(decode_replication(*cache, superblock).status().code() == Code::corrupt);
  std::vector<TableFault> faults;
  CHECK(*decode_replication(*cache, superblock, &faults) == none);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].block == last);
}

TEST_CASE_METHOD(Fixture, "sessions are stored with their pools up to the table's capacity") {
  const std::size_t capacity = ClientTable::capacity_of(superblock);
  CHECK(capacity == 630);
  ClientTable table(capacity);
  for (std::size_t i = 0; i < capacity; ++i) {
    ClientEntry entry{Uuid::from_random(i, 1), SnapshotId(i % 5), {}};
    entry.pools[i % kMaxPools] = {superblock.first_chunk() + i, 1 + i % 9};
    REQUIRE(table.add(entry).ok());
  }
  CHECK(table.add({Uuid::from_random(1, 2), kOrigin, {}}).code() == Code::no_space);
  REQUIRE(table.remove(Uuid::from_random(17, 1)).ok());
  CHECK(table.remove(Uuid::from_random(17, 1)).code() == Code::not_found);
  CHECK(table.add(table.all()[3]).code() == Code::exists);
  REQUIRE(table.encode(*cache, superblock).ok());
  auto again = ClientTable::decode(*cache, superblock);
  REQUIRE(again.ok());
  CHECK(again->all() == table.all());
  CHECK(again->find(Uuid::from_random(20, 1))->pools[0].count == 3);
  CHECK(again->add({Uuid::from_random(1, 2), kOrigin, {}}).ok());
}

TEST_CASE_METHOD(Fixture, "a session table with an impossible entry is corrupt") {
  ClientTable table(10);
  REQUIRE(table.add({Uuid::from_random(1, 1), kOrigin, {}}).ok());
  REQUIRE(table.encode(*cache, superblock).ok());
  using Change = std::function<void(ClientDisk&)>;
  const std::vector<std::pair<const char*, Change>> changes{
      {"no id",
       [](ClientDisk& d) {
         std::fill(std::begin(d.id), std::end(d.id), U8{});
         d.volume.set(1);
       }},
      {"a snapshot of the future", [](ClientDisk& d) { d.volume.set(1ULL << 50); }},
      {"a pool in the fixed areas", [](ClientDisk& d) { d.pools[2].count.set(1); }},
      {"a pool beyond the end",
       [](ClientDisk& d) {
         d.pools[0].start.set((1ULL << 48) - 1);
         d.pools[0].count.set(5);
       }},
  };
  for (const auto& [name, change] : changes) {
    INFO(name);
    ClientDisk before;
    CHECK(tampered<ClientDisk>(superblock.clients, BlockKind::clients, 0,
                               [&, c = change](ClientDisk& disk) {
                                 before = disk;
                                 c(disk);
                               }) == Code::corrupt);
    CHECK(tampered<ClientDisk>(superblock.clients, BlockKind::clients, 0,
                               [&](ClientDisk& disk) { disk = before; }) == Code::ok);
  }
}
