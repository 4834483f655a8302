// SPDX-License-Identifier: Apache-2.0
// Copies that clients make, and all that may come between.
#include <catch2/catch.hpp>

#include "test/engine/rig.h"

namespace csnap {
namespace {

RigOptions with_copies() {
  RigOptions options;
  options.client_copies = true;
  return options;
}

// A snapshot of an origin full of ones, and a client that is asked to copy what a write needs.
class CopyRig : public Rig {
 public:
  explicit CopyRig(RigOptions rig_options = with_copies()) : Rig(rig_options) {
    open();
    REQUIRE(write_origin_now({Chunk(0), 256}, 1).ok());
    snapshot = create("s")->id;
    answer_copies = false;
  }
  // Writes the chunk and waits until somebody is asked to copy.
  void ask_for_copy(ChunkRun run) {
    write_origin(run, 2, [this](const Status& status) {
      ++answers;
      answer = status;
    });
    const std::size_t before = copies.size();
    until([&] { return copies.size() > before; });
  }
  void report(Result<std::vector<std::uint32_t>> crcs) {
    REQUIRE(engine().copied(copies.back().first, copies.back().second.id, std::move(crcs)).ok());
  }
  void wait_for_answer() {
    until([&] { return answers > 0; });
    REQUIRE(answer.ok());
    check_all();
    REQUIRE(mismatches() == 0);
    until_idle();
    REQUIRE(check_store().empty());
  }
  std::uint64_t by_clients() { return engine().status().copied_by_clients; }
  std::uint64_t by_server() { return engine().status().copied_chunks; }
  std::uint64_t held() { return engine().status().held_chunks; }

  SnapshotId snapshot;
  int answers = 0;
  Status answer;
};

}  // namespace

TEST_CASE("A grant waits for the client's copy, and nothing is copied by the server") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 4});
  const CopyOrder order = rig.copies.back().second;
  REQUIRE(order.from_origin);
  REQUIRE(order.from == 10);
  REQUIRE(order.to.count == 4);
  REQUIRE(rig.copies.back().first == rig.client(kOrigin));
  rig.turns(50);
  REQUIRE(rig.answers == 0);
  rig.report(rig.make_copy(order));
  rig.wait_for_answer();
  REQUIRE(rig.by_clients() == 4);
  REQUIRE(rig.by_server() == 0);
  rig.kill();
  rig.open();
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
}

TEST_CASE("Neighbours of one client are one copy") {
  CopyRig rig;
  for (std::uint64_t i = 0; i < 8; ++i)
    rig.write_origin({Chunk(i), 1}, 2, [&](const Status&) { ++rig.answers; });
  rig.until([&] { return !rig.copies.empty(); });
  rig.turns(50);
  REQUIRE(rig.copies.size() == 1);
  REQUIRE(rig.copies.back().second.to.count == 8);
  rig.report(rig.make_copy(rig.copies.back().second));
  rig.until([&] { return rig.answers == 8; });
}

TEST_CASE("A client that has not offered it is not asked") {
  CopyRig rig;
  rig.engine().withdraw_copies(rig.client(kOrigin));
  REQUIRE(rig.write_origin_now({Chunk(10), 4}, 2).ok());
  REQUIRE(rig.copies.empty());
  REQUIRE(rig.by_server() == 4);
}

TEST_CASE("What a client could not copy the server copies, and the place is free again") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 16});
  rig.report(Status(Code::io_error, "as the test wants"));
  rig.wait_for_answer();
  REQUIRE(rig.by_clients() == 0);
  REQUIRE(rig.by_server() == 16);
  REQUIRE(rig.engine().clients().at(0).provisional_chunks == 0);
}

TEST_CASE("A connection lost in the middle of a copy costs a copy by the server") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 4});
  const auto [key, order] = rig.copies.back();
  rig.engine().withdraw_copies(key);
  rig.wait_for_answer();
  REQUIRE(rig.by_server() == 4);
  REQUIRE(rig.engine().clients().at(0).provisional_chunks == 4);

  SECTION("A late report gives the place back, and changes nothing else") {
    // The origin holds other data by now.
    REQUIRE(rig.engine().copied(key, order.id, rig.make_copy(order)).ok());
    REQUIRE(rig.engine().clients().at(0).provisional_chunks == 0);
    rig.engine().offer_copies(key, std::vector<CopyId>{order.id});
    REQUIRE(rig.engine().clients().at(0).provisional_chunks == 0);
  }
  SECTION("The next connection says that the copy has ended") {
    rig.engine().offer_copies(key, {});
    REQUIRE(rig.engine().clients().at(0).provisional_chunks == 0);
  }
  SECTION("The next connection says that it is under way still") {
    rig.engine().offer_copies(key, std::vector<CopyId>{order.id});
    REQUIRE(rig.engine().clients().at(0).provisional_chunks == 4);
    REQUIRE(rig.engine().copied(key, order.id, rig.make_copy(order)).ok());
    REQUIRE(rig.engine().clients().at(0).provisional_chunks == 0);
  }
  SECTION("The session ends") {
    rig.drop_client(kOrigin);
    rig.until_idle();
    REQUIRE(rig.held() == 0);
  }
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
}

TEST_CASE("A session that ends in the middle of a copy holds nobody else up") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 4});
  const ClientKey key = rig.copies.back().first;
  ClientKey other = 0;
  rig.engine().open_client(Uuid::from_random(8, 9), kOrigin, Engine::Access::write,
                           [&](Result<ClientKey> opened) { other = *opened; });
  rig.until([&] { return other != 0; });
  bool granted = false;
  rig.engine().origin_write(other, {{Chunk(12), 1}},
                            [&](const Status& status) { granted = status.ok(); });
  rig.turns(50);
  REQUIRE_FALSE(granted);
  rig.engine().close_client(key);
  rig.until([&] { return granted; });
  REQUIRE(rig.by_server() == 4);
  REQUIRE(rig.answers == 0);
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
}

TEST_CASE("A client that does not report a copy is waited for only so long") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 4});
  rig.turns(9'000);
  REQUIRE(rig.answers == 0);
  rig.turns(1'200);
  rig.wait_for_answer();
  REQUIRE(rig.by_server() == 4);
}

TEST_CASE("A client that let a copy lie is not asked again, before it offers again") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 1});
  rig.turns(10'200);
  rig.wait_for_answer();
  const std::size_t asked = rig.copies.size();
  REQUIRE(rig.write_origin_now({Chunk(20), 1}, 3).ok());
  CHECK(rig.copies.size() == asked);
  rig.engine().offer_copies(rig.client(kOrigin), {});
  rig.ask_for_copy({Chunk(30), 1});
  CHECK(rig.copies.size() == asked + 1);
  rig.report(rig.make_copy(rig.copies.back().second));
  rig.until_idle();
}

TEST_CASE("A client that cannot copy is soon not asked any more") {
  CopyRig rig;
  std::size_t asked = 0;
  for (std::uint64_t c = 0; c < 40; ++c) {
    bool answered = false;
    rig.write_origin({Chunk(2 * c), 1}, 3, [&](const Status& s) { answered = s.ok(); });
    rig.until([&] { return answered || rig.copies.size() > asked; });
    if (rig.copies.size() > asked) rig.report(Status(Code::io_error, "no store here"));
    asked = rig.copies.size();
    rig.until([&] { return answered; });
  }
  CHECK(asked > 0);
  CHECK(asked < 20);
}

TEST_CASE("A report with a wrong number of checksums is nonsense, and the server copies") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 4});
  const auto [key, order] = rig.copies.back();
  const Status taken = rig.engine().copied(key, order.id, std::vector<std::uint32_t>(3, 7));
  REQUIRE(taken.code() == Code::invalid);
  rig.wait_for_answer();
  REQUIRE(rig.by_server() == 4);
}

TEST_CASE("Reports of copies that nobody asked for are ignored") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 4});
  const auto [key, order] = rig.copies.back();
  REQUIRE(rig.engine().copied(key, order.id + 1, std::vector<std::uint32_t>(4, 7)).ok());
  const ClientKey other = rig.client(rig.snapshot);
  REQUIRE(rig.engine().copied(other, order.id, std::vector<std::uint32_t>(4, 7)).ok());
  REQUIRE(rig.engine().copied(key + 99, order.id, std::vector<std::uint32_t>(4, 7)).ok());
  rig.turns(50);
  REQUIRE(rig.answers == 0);
  rig.report(rig.make_copy(order));
  REQUIRE(rig.engine().copied(key, order.id, std::vector<std::uint32_t>(4, 7)).ok());  // twice
  rig.wait_for_answer();
}

TEST_CASE("A copy from the store is ordered with its checksums, and compared with them") {
  CopyRig rig;
  const auto second = rig.create("t");
  rig.answer_copies = true;
  REQUIRE(rig.write_origin_now({Chunk(10), 4}, 2).ok());
  rig.answer_copies = false;
  Status status(Code::busy, "not answered");
  rig.write_snapshot(second->id, {Chunk(10), 4}, 3, false, [&](const Status& s) { status = s; });
  rig.until([&] { return !rig.copies.empty(); });
  const auto [key, order] = rig.copies.back();
  REQUIRE_FALSE(order.from_origin);
  REQUIRE(order.crcs.size() == 4);
  REQUIRE(order.crcs[0] != 0);
  auto crcs = rig.make_copy(order);
  SECTION("The client says what it should") {
    REQUIRE(rig.engine().copied(key, order.id, crcs).ok());
    rig.until([&] { return status.code() != Code::busy; });
    REQUIRE(rig.by_server() == 0);
  }
  SECTION("The client says something else") {
    crcs[2] ^= 1;
    REQUIRE(rig.engine().copied(key, order.id, crcs).ok());
    rig.until([&] { return status.code() != Code::busy; });
    REQUIRE(rig.by_server() == 4);
  }
  REQUIRE(status.ok());
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
}

TEST_CASE("A client with enough to do is not asked for more") {
  CopyRig rig;
  for (std::uint64_t i = 0; i < 70; ++i)
    rig.write_origin({Chunk(2 * i), 1}, 2, [&](const Status&) { ++rig.answers; });
  rig.until([&] { return rig.answers == 6; });
  REQUIRE(rig.copies.size() == 64);
  REQUIRE(rig.by_server() == 6);
}

TEST_CASE("When there is no room for a pool the server copies, until the store is full") {
  RigOptions options = with_copies();
  options.origin_chunks = 4096;
  options.store_bytes = 12u << 20;
  CopyRig rig(options);
  rig.answer_copies = true;
  Status status;
  std::uint64_t chunk = 0;
  while (status.ok() && chunk < 4096) status = rig.write_origin_now({Chunk(chunk++), 1}, 2);
  REQUIRE(status.code() == Code::no_space);
  REQUIRE(rig.by_clients() > 100);
  REQUIRE(rig.by_server() > 0);
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
  rig.until_idle();
  REQUIRE(rig.check_store().empty());
}

TEST_CASE("A server that stops does what it had asked clients for") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 4});
  rig.close();
  rig.open();
  rig.check_all();
  REQUIRE(rig.mismatches() == 0);
}

TEST_CASE(
    "The place of a copy under way when the server dies is nobody else's until its client is "
    "back") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 4});
  const StoreRun place = rig.copies.back().second.to;
  rig.kill();
  REQUIRE(rig.try_open().ok());
  REQUIRE(rig.held() >= place.count);
  for (const auto& id : rig.engine().absent_clients()) rig.engine().forget_client(id);
  rig.until_idle();
  REQUIRE(rig.held() == 0);
}

TEST_CASE("A snapshot may be created while a client copies") {
  CopyRig rig;
  rig.ask_for_copy({Chunk(10), 1});
  const auto order = rig.copies.back().second;
  REQUIRE(rig.create("t").ok());
  rig.report(rig.make_copy(order));
  rig.until([&] { return rig.copies.size() == 2; });  // for the second snapshot
  rig.report(rig.make_copy(rig.copies.back().second));
  rig.wait_for_answer();
  REQUIRE(rig.by_clients() == 2);
}

}  // namespace csnap
