// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/receive_state.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "test/store/temporary.h"

namespace csnap {
namespace {

const Uuid kStore{{7}};

UnfinishedReceive some_unfinished() {
  return {"tuesday", {Uuid{{3}}, 5}, StreamIdentity{Uuid{{2}}, 4}, 11, "volume.img", 4096,
          true,      std::nullopt};
}

Admin::SnapshotEntry entry(std::uint64_t id, const char* name, std::uint8_t uuid) {
  Admin::SnapshotEntry e;
  e.id = id;
  e.name = name;
  e.uuid = Uuid{{uuid}};
  return e;
}

}  // namespace

TEST_CASE("a receiver's state is as it was saved") {
  const test::TemporaryDirectory folder;
  const std::string path = folder.path() + "/state";
  {
    auto state = ReceiveState::open(path, kStore);
    REQUIRE(state.ok());
    CHECK(state->received.empty());
    CHECK_FALSE(state->unfinished);
    state->received.push_back({11, Uuid{{1}}, {Uuid{{2}}, 4}, "volume.img"});
    state->unfinished = some_unfinished();
    REQUIRE(state->save().ok());
  }
  auto state = ReceiveState::open(path, kStore);
  REQUIRE(state.ok());
  REQUIRE(state->received.size() == 1);
  CHECK(state->received[0].identity == StreamIdentity{Uuid{{2}}, 4});
  CHECK(state->received[0].id == 11);
  REQUIRE(state->unfinished);
  CHECK(state->unfinished->parent == StreamIdentity{Uuid{{2}}, 4});
  CHECK(state->unfinished->offset == 4096);
  CHECK(state->unfinished->resumable);
  CHECK_FALSE(state->unfinished->making);
}

TEST_CASE("two receives cannot have one state") {
  const test::TemporaryDirectory folder;
  const auto first = ReceiveState::open(folder.path() + "/state", kStore);
  REQUIRE(first.ok());
  CHECK(ReceiveState::open(folder.path() + "/state", kStore).status().code() == Code::busy);
}

TEST_CASE("the state of another store, and nonsense, are refused") {
  const test::TemporaryDirectory folder;
  const std::string path = folder.path() + "/state";
  {
    auto state = ReceiveState::open(path, kStore);
    REQUIRE(state.ok());
    REQUIRE(state->save().ok());
  }
  CHECK(ReceiveState::open(path, Uuid{{8}}).status().code() == Code::invalid);
  const char* text = GENERATE("{", "[]", "{\"format\": 1}", "{\"format\": \"1\"}", "null",
                              R"({"format":1,"store":"x","received":[]})",
                              R"({"format":1,"store":"07000000-0000-0000-0000-000000000000",
                                  "received":[{"id":7}]})");
  std::ofstream(path) << text;
  INFO(text);
  CHECK(ReceiveState::open(path, kStore).status().code() == Code::corrupt);
}

TEST_CASE("a snapshot that was made although nobody could write it down is noticed") {
  const test::TemporaryDirectory folder;
  auto state = ReceiveState::open(folder.path() + "/state", kStore);
  REQUIRE(state.ok());
  state->received.push_back({11, Uuid{{1}}, {Uuid{{2}}, 4}, "volume.img"});
  state->unfinished = some_unfinished();
  Admin::SnapshotList list;
  list.snapshots = {entry(11, "monday", 1), entry(12, "tuesday", 9)};
  SECTION("not when it was not about to be made") {
    REQUIRE(state->reconcile(list).ok());
    CHECK(state->unfinished);
    CHECK(state->received.size() == 1);
  }
  SECTION("not when one of that name was there before") {
    state->unfinished->making = 13;
    REQUIRE(state->reconcile(list).ok());
    REQUIRE(state->unfinished);
    CHECK_FALSE(state->unfinished->making);
  }
  SECTION("it is what was received") {
    state->unfinished->making = 12;
    REQUIRE(state->reconcile(list).ok());
    CHECK_FALSE(state->unfinished);
    REQUIRE(state->received.size() == 2);
    CHECK(state->received[1].id == 12);
    CHECK(state->received[1].uuid == Uuid{{9}});
    CHECK(state->received[1].identity == some_unfinished().identity);
  }
  SECTION("what is no more is forgotten") {
    list.snapshots = {entry(11, "monday", 2)};
    REQUIRE(state->reconcile(list).ok());
    CHECK(state->received.empty());
  }
}

}  // namespace csnap
