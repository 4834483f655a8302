// SPDX-License-Identifier: Apache-2.0
// What each request promises, one behaviour each.
#include <catch2/catch.hpp>

#include "test/engine/rig.h"

namespace csnap {

TEST_CASE("Without snapshots every origin chunk may be written at once") {
  Rig rig;
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(3), 5}, 7).ok());
  REQUIRE(rig.engine().status().copied_chunks == 0);
}

TEST_CASE("One copy serves every snapshot") {
  Rig rig;
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(0), 256}, 1).ok());
  for (int i = 0; i < 64; ++i) REQUIRE(rig.create("n" + std::to_string(i)).ok());
  REQUIRE(rig.write_origin_now({Chunk(10), 4}, 2).ok());
  REQUIRE(rig.engine().status().copied_chunks == 4);
  REQUIRE(rig.engine().status().exception_chunks == 4);
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
}

TEST_CASE("There can be 64 snapshots and no more") {
  Rig rig;
  rig.open();
  for (int i = 0; i < 64; ++i) REQUIRE(rig.create("n" + std::to_string(i)).ok());
  REQUIRE(rig.create("one more").status().code() == Code::no_space);
  REQUIRE(rig.remove("n7").ok());
  rig.until_idle();
  REQUIRE(rig.create("one more").ok());
}

TEST_CASE("A snapshot's id is never used again") {
  Rig rig;
  rig.open();
  const auto first = rig.create("again");
  REQUIRE(rig.remove("again").ok());
  rig.until_idle();
  rig.close();
  rig.open();
  const auto second = rig.create("again");
  REQUIRE(second->id > first->id);
  REQUIRE(second->uuid != first->uuid);
  bool told = false;
  rig.engine().open_client(Uuid::from_random(1, 2), first->id, Engine::Access::write,
                           [&](Result<ClientKey> key) {
                             told = true;
                             REQUIRE(key.status().code() == Code::stale);
                           });
  REQUIRE(told);
}

TEST_CASE("An origin writer waits for a reader of the same chunk, and later readers do not") {
  Rig rig;
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(5), 1}, 1).ok());
  const auto snapshot = rig.create("s");
  ReadId read = 0;
  const ClientKey reader = rig.client(snapshot->id);
  rig.engine().snapshot_read(reader, {{Chunk(5), 1}}, [&](Result<ReadGrant> grant) {
    REQUIRE(grant->pieces.at(0).on_origin);
    read = grant->id;
  });
  rig.until([&] { return read != 0; });
  REQUIRE(rig.engine().locks().size() == 1);
  bool granted = false;
  rig.write_origin({Chunk(5), 1}, 2, [&](const Status& status) { granted = status.ok(); });
  rig.until([&] { return rig.engine().status().exception_chunks == 1; });
  rig.until([&] { return rig.engine().locks().at(0).waiting_writers == 1; });
  REQUIRE_FALSE(granted);

  bool in_store = false;
  rig.engine().snapshot_read(reader, {{Chunk(5), 1}}, [&](Result<ReadGrant> grant) {
    in_store = !grant->pieces.at(0).on_origin;
    rig.engine().finish_read(reader, grant->id);
  });
  rig.until([&] { return in_store; });
  REQUIRE_FALSE(granted);
  rig.engine().finish_read(reader, read);
  rig.until([&] { return granted; });
}

TEST_CASE("No origin write is granted while a client still owes an answer to the barrier") {
  Rig rig;
  rig.open();
  rig.client(kOrigin);
  rig.answer_barriers = false;
  bool created = false;
  rig.engine().create_snapshot("s", std::nullopt, [&](Result<Snapshot> s) { created = s.ok(); });
  rig.until([&] { return !rig.barriers.empty(); });
  bool granted = false;
  rig.engine().origin_write(rig.client(kOrigin), {{Chunk(0), 1}},
                            [&](const Status& status) { granted = status.ok(); });
  for (int i = 0; i < 50; ++i) rig.engine().poll();
  REQUIRE_FALSE(created);
  REQUIRE_FALSE(granted);
  rig.engine().barrier_done(rig.barriers[0].first, rig.barriers[0].second);
  rig.until([&] { return created && granted; });
  REQUIRE(rig.engine().status().copied_chunks == 1);
}

TEST_CASE("A client that is cut off no longer holds a barrier up") {
  Rig rig;
  rig.open();
  const ClientKey client = rig.client(kOrigin);
  rig.answer_barriers = false;
  bool created = false;
  rig.engine().create_snapshot("s", std::nullopt, [&](Result<Snapshot> s) { created = s.ok(); });
  rig.until([&] { return !rig.barriers.empty(); });
  rig.engine().close_client(client);
  rig.until([&] { return created; });
}

TEST_CASE("After a restart no origin write is granted before every reader of before is settled") {
  Rig rig;
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(5), 1}, 1).ok());
  const auto snapshot = rig.create("s");
  const Uuid reader = Uuid::from_random(5, 6);
  ClientKey key = 0;
  rig.engine().open_client(reader, snapshot->id, Engine::Access::write,
                           [&](Result<ClientKey> k) { key = *k; });
  rig.until([&] { return key != 0; });
  rig.kill();
  REQUIRE(rig.try_open().ok());
  bool granted = false;
  for (const auto& id : rig.engine().absent_clients())
    if (id != reader) rig.engine().forget_client(id);
  REQUIRE(rig.engine().absent_clients() == std::vector<Uuid>{reader});
  rig.write_origin({Chunk(5), 1}, 2, [&](const Status& status) { granted = status.ok(); });
  for (int i = 0; i < 100; ++i) rig.engine().poll();
  REQUIRE_FALSE(granted);

  rig.engine().open_client(reader, snapshot->id, Engine::Access::write,
                           [&](Result<ClientKey> k) { key = *k; });
  REQUIRE(rig.engine().upload_lock(key, 9, std::vector<ChunkRun>{{Chunk(5), 1}}).ok());
  rig.engine().upload_done(key);
  for (int i = 0; i < 100; ++i) rig.engine().poll();
  REQUIRE_FALSE(granted);
  rig.engine().finish_read(key, 9);
  rig.until([&] { return granted; });
}

TEST_CASE("A snapshot in use is deleted only by force") {
  Rig rig;
  rig.open();
  const auto snapshot = rig.create("s");
  rig.client(snapshot->id);
  REQUIRE(rig.remove("s", false).code() == Code::busy);
  REQUIRE(rig.remove("s", true).ok());
  REQUIRE(rig.engine().find_snapshot("s").status().code() == Code::not_found);
}

TEST_CASE("Requests on a deleted snapshot are stale") {
  Rig rig;
  rig.open();
  const auto snapshot = rig.create("s");
  const ClientKey client = rig.client(snapshot->id);
  bool deleted = false;
  rig.engine().delete_snapshot("s", true, [&](const Status& status) { deleted = status.ok(); });
  rig.until([&] { return deleted; });
  Status read;
  rig.engine().snapshot_read(client, {{Chunk(0), 1}},
                             [&](Result<ReadGrant> grant) { read = grant.status(); });
  REQUIRE(read.code() == Code::stale);
}

TEST_CASE("A full store says so, harms nothing, and deleting a snapshot brings it back") {
  RigOptions options;
  options.store_bytes = 3u << 20;
  options.origin_chunks = 1024;
  Rig rig(options);
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(0), 1024}, 1).ok());
  REQUIRE(rig.create("s").ok());
  Status last;
  for (std::uint64_t c = 0; c < 1024 && last.ok(); c += 8)
    last = rig.write_origin_now({Chunk(c), 8}, 2);
  REQUIRE(last.code() == Code::no_space);
  REQUIRE(rig.logged().size() == 1);
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
  REQUIRE(rig.remove("s").ok());
  rig.until_idle();
  REQUIRE(rig.create("t").ok());
  REQUIRE(rig.write_origin_now({Chunk(0), 8}, 3).ok());
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
}

TEST_CASE("Ranges that are empty, too many, overflowing or outside are refused") {
  Rig rig;
  rig.open();
  const ClientKey client = rig.client(kOrigin);
  const auto refused = [&](std::vector<ChunkRun> ranges) {
    Status status;
    rig.engine().origin_write(client, std::move(ranges), [&](const Status& s) { status = s; });
    return status.code();
  };
  REQUIRE(refused({}) == Code::invalid);
  REQUIRE(refused({{Chunk(0), 0}}) == Code::invalid);
  REQUIRE(refused({{Chunk(256), 1}}) == Code::out_of_range);
  REQUIRE(refused({{Chunk(255), 2}}) == Code::out_of_range);
  REQUIRE(refused({{Chunk(1), ~0ULL}}) == Code::out_of_range);
}

TEST_CASE("An orderly end leaves a clean store with nothing to replay") {
  Rig rig;
  rig.open();
  REQUIRE(rig.create("s").ok());
  REQUIRE(rig.write_origin_now({Chunk(0), 16}, 1).ok());
  rig.close();
  MemoryDevice device(rig.store);
  const auto superblock = read_superblock(device);
  REQUIRE(superblock->clean);
  rig.open();
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
}

TEST_CASE("No origin write is granted on the strength of a deletion that is not durable") {
  Rig rig;
  rig.faults = std::make_shared<FaultPlan>();
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(0), 8}, 1).ok());
  REQUIRE(rig.create("s").ok());
  rig.client(kOrigin);
  rig.until_idle();
  rig.faults->delay(1, FaultPlan::flushes(), 50);
  bool deleted = false, granted = false, in_order = false;
  rig.engine().delete_snapshot("s", true, [&](const Status& status) { deleted = status.ok(); });
  rig.engine().poll();
  rig.engine().origin_write(rig.client(kOrigin), {{Chunk(0), 8}}, [&](const Status& status) {
    granted = status.ok();
    in_order = deleted;
  });
  REQUIRE_FALSE(deleted);
  rig.until([&] { return granted; });
  REQUIRE(in_order);
  REQUIRE(rig.engine().status().copied_chunks == 0);
}

TEST_CASE("What lies ahead of a read is told as far as it may be remembered, and not locked") {
  Rig rig;
  rig.open();
  const auto snapshot = rig.create("s");
  const ClientKey reader = rig.client(snapshot->id);
  REQUIRE(rig.write_snapshot_now(snapshot->id, {Chunk(4), 6}, 1, true).ok());
  const auto ahead_of = [&](Chunk chunk, std::uint64_t ahead) {
    std::optional<ReadGrant> grant;
    rig.engine().snapshot_read(
        reader, {{chunk, 1}}, [&](Result<ReadGrant> g) { grant = std::move(*g); }, ahead);
    rig.until([&] { return grant.has_value(); });
    std::uint64_t locked = 0;
    for (const auto& lock : rig.engine().locks()) locked += lock.chunks.count;
    CHECK(locked == (grant->pieces.at(0).on_origin ? 1 : 0));
    rig.engine().finish_read(reader, grant->id);
    std::uint64_t told = 0;
    for (const auto& piece : grant->ahead) {
      CHECK(piece.exclusive);
      CHECK(piece.chunks.start == chunk + 1 + told);
      told += piece.chunks.count;
    }
    return told;
  };
  CHECK(ahead_of(Chunk(3), 100) == 6);
  CHECK(ahead_of(Chunk(3), 2) == 2);
  CHECK(ahead_of(Chunk(2), 100) == 0);
  CHECK(ahead_of(Chunk(5), 0) == 0);
  CHECK(ahead_of(Chunk(9), 100) == 0);
  // A place that two snapshots share may not be remembered.
  REQUIRE(rig.create("t").ok());
  REQUIRE(rig.write_origin_now({Chunk(20), 1}, 2).ok());
  CHECK(ahead_of(Chunk(19), 100) == 0);
}

TEST_CASE("A chunk freed by a deletion is not used while a read that began before goes on") {
  RigOptions options;
  options.store_bytes = 3u << 20;
  options.origin_chunks = 1024;
  Rig rig(options);
  rig.open();
  // Only the places in question hold tag 1, so that any other use of them shows.
  const ChunkRun run{Chunk(0), 100};
  REQUIRE(rig.write_origin_now(run, 1).ok());
  REQUIRE(rig.write_origin_now({Chunk(100), 924}, 5).ok());
  REQUIRE(rig.create("a").ok());
  const auto b = rig.create("b");
  REQUIRE(rig.write_origin_now(run, 2).ok());
  // A reader of b is told of the shared places; b then gets its own, and a is deleted.
  ReadGrant read;
  rig.engine().snapshot_read(rig.client(b->id), {run},
                             [&](Result<ReadGrant> grant) { read = std::move(*grant); });
  rig.until([&] { return read.id != 0; });
  REQUIRE(rig.write_snapshot_now(b->id, run, 9, false).ok());
  REQUIRE(rig.remove("a").ok());
  rig.until_idle();
  // Fill the store: the freed places must not be among those given out, until the read has ended.
  REQUIRE(rig.create("c").ok());
  const auto fill = [&] {
    Status last;
    std::uint64_t written = 0;
    for (std::uint64_t c = 0; c < 1024 && last.ok(); ++c, ++written)
      last = rig.write_origin_now({Chunk(c), 1}, 3);
    REQUIRE(last.code() == Code::no_space);
    return written;
  };
  const std::uint64_t before = fill();
  for (const auto& piece : read.pieces)
    for (std::uint64_t i = 0; i < piece.chunks.count; ++i) {
      const auto bytes = rig.store->bytes((piece.store.value + i) << 12, 8);
      REQUIRE(std::to_integer<int>(bytes[0]) == 1);
    }
  rig.engine().finish_read(rig.client(b->id), read.id);
  rig.until_idle();
  REQUIRE(fill() > before);
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
}

TEST_CASE("When too many sessions are open the next one is told so, and those there are survive") {
  Rig rig;
  rig.open();
  std::uint64_t opened = 0;
  Status last;
  while (last.ok() && opened < 5000) {
    bool told = false;
    rig.engine().open_client(Uuid::from_random(opened, 7), kOrigin, Engine::Access::write,
                             [&](Result<ClientKey> key) {
                               told = true;
                               last = key.status();
                             });
    rig.until([&] { return told; });
    opened += last.ok();
  }
  REQUIRE(last.code() == Code::no_space);
  REQUIRE(opened > 500);
  rig.close();
  REQUIRE(rig.try_open().ok());
  REQUIRE(rig.engine().absent_clients().size() == opened);
}

TEST_CASE("An origin of another size than the store was made for is refused") {
  Rig rig;
  rig.origin = std::make_shared<MemoryVolume>("origin", rig.origin->size() + 4096);
  REQUIRE(rig.try_open().code() == Code::invalid);
}

TEST_CASE("A damaged superblock is told of, and the other copy used") {
  Rig rig;
  rig.store->poke(kSuperblockA.value * kBlockSize, std::vector<std::byte>(512));
  rig.open();
  REQUIRE(rig.logged().size() == 1);
  REQUIRE(rig.logged()[0].find("superblock at block 1 is damaged") != std::string::npos);
  rig.close();
  rig.open();
  REQUIRE(rig.logged().size() == 1);
}

}  // namespace csnap
