// SPDX-License-Identifier: Apache-2.0
#include "tools/replicate/chain.h"

#include <catch2/catch.hpp>

namespace csnap {
namespace {

Uuid uuid(std::uint64_t number) {
  return Uuid::from_random(number, number);
}

// A server with its snapshots.
struct Side {
  Admin::SnapshotList list;
  Replication replication;

  explicit Side(std::uint64_t number) : number_(number) {
    list.store = uuid(number);
    list.volume_size = 1 << 20;
    list.chunk_size = 4096;
  }
  Admin::SnapshotEntry& make(const std::string& name) {
    auto& entry = list.snapshots.emplace_back();
    entry.id = entry.transid = list.snapshots.size();
    entry.uuid = uuid(number_ * 1000 + entry.id);
    entry.name = name;
    return entry;
  }
  // As what its sender sends it as.
  Admin::SnapshotEntry& receive(const Admin::SnapshotEntry& from) {
    const auto identity = from.received.value_or(StreamIdentity{from.uuid, from.transid});
    auto& entry = make(from.name);
    entry.received = identity;
    return entry;
  }
  const Admin::SnapshotEntry& at(const std::string& name) const {
    for (const auto& entry : list.snapshots)
      if (entry.name == name) return entry;
    throw std::out_of_range(name);
  }
  Admin::SnapshotEntry& at(const std::string& name) {
    return const_cast<Admin::SnapshotEntry&>(std::as_const(*this).at(name));
  }

 private:
  const std::uint64_t number_;
};

struct Fixture {
  Side ours{1}, theirs{2};
  Fixture() {
    for (const char* name : {"a", "b", "c"}) ours.make(name);
  }
  Result<Chain> plan(const std::string& name, bool force = false) const {
    return plan_chain(ours.list, theirs.list, theirs.replication, name, force);
  }
  // "a ab bc": what is sent, behind the parent.
  std::string steps(const std::string& name, bool force = false) const {
    const auto chain = plan(name, force);
    if (!chain.ok()) return code_name(chain.status().code());
    std::string text;
    for (const auto& step : chain->steps)
      text += (text.empty() ? "" : " ") + (step.parent ? step.parent->name : "") +
              step.snapshot.name + (step.resume ? "+" : "");
    return text;
  }
  void receiving(const std::string& name, const char* parent, bool resumable = true) {
    UnfinishedReceive r;
    r.name = name;
    r.identity = {ours.at(name).uuid, ours.at(name).transid};
    if (parent) r.parent = StreamIdentity{ours.at(parent).uuid, ours.at(parent).transid};
    r.path = "volume.img";
    r.offset = 4096;
    r.resumable = resumable;
    theirs.replication.receiving = r;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "Where nothing is, all of the first is sent and then what changed") {
  CHECK(steps("c") == "a ab bc");
  CHECK(steps("a") == "a");
  CHECK_FALSE(plan("c")->common);
}

TEST_CASE_METHOD(Fixture, "What is there is not sent again") {
  theirs.receive(ours.at("a"));
  CHECK(steps("c") == "ab bc");
  CHECK(plan("c")->common->name == "a");
  theirs.receive(ours.at("b"));
  CHECK(steps("c") == "bc");
  CHECK(steps("b").empty());
  CHECK(steps("a").empty());
  theirs.at("b").name = "renamed";
  CHECK(steps("c") == "bc");
}

TEST_CASE_METHOD(Fixture, "What is being deleted counts nowhere") {
  theirs.receive(ours.at("a"));
  theirs.receive(ours.at("b")).deleting = true;
  CHECK(steps("c") == "ab bc");
  ours.at("b").deleting = true;
  CHECK(steps("c") == "ac");
  CHECK(steps("b") == "not_found");
  ours.at("a").deleting = true;
  CHECK(steps("c") == "exists");
}

TEST_CASE_METHOD(Fixture, "What was written to is not common, on either side") {
  theirs.receive(ours.at("a"));
  theirs.receive(ours.at("b"));
  SECTION("there") {
    theirs.at("b").written = true;
    theirs.at("b").received.reset();
    CHECK(steps("c") == "exists");
    theirs.at("b").name = "other";
    CHECK(steps("c") == "exists");
    CHECK(steps("c", true) == "ab bc");
  }
  SECTION("here") {
    ours.at("b").written = true;
    CHECK(steps("c") == "exists");
    CHECK(steps("b") == "exists");
    CHECK(plan("c").status().message().find("'b'") != std::string::npos);
  }
}

TEST_CASE_METHOD(Fixture, "The volume is called what it was called there") {
  CHECK(plan("a")->file == "volume.img");
  ours.at("a").received_path = "here.img";
  CHECK(plan("b")->file == "here.img");
  theirs.receive(ours.at("a")).received_path = "there.img";
  CHECK(plan("c")->file == "there.img");
  theirs.replication.receiving = UnfinishedReceive{"b",
                                                   {ours.at("b").uuid, 2},
                                                   StreamIdentity{ours.at("a").uuid, 1},
                                                   SnapshotId(1),
                                                   "cut/off.img",
                                                   4096,
                                                   true,
                                                   false};
  CHECK(plan("c")->file == "cut/off.img");
  // One that was made there and sent here comes back.
  theirs.replication.receiving.reset();
  ours.receive(theirs.make("x")).received_path = "here.img";
  ours.make("y");
  CHECK(plan("y", true)->file == "volume.img");
}

TEST_CASE_METHOD(Fixture, "Nothing older is sent behind what is newer") {
  theirs.receive(ours.at("b"));
  CHECK(steps("a") == "invalid");
  CHECK(steps("a", true) == "invalid");
}

TEST_CASE_METHOD(Fixture, "Another history is overwritten by force only") {
  theirs.make("x");
  CHECK(steps("c") == "exists");
  CHECK(plan("c").status().message().find("'x'") != std::string::npos);
  CHECK(steps("c", true) == "a ab bc");
  theirs.list.snapshots.clear();
  theirs.receive(ours.at("a"));
  theirs.make("x");
  CHECK(steps("c") == "exists");
  CHECK(plan("c").status().message().find("'x', later than 'a'") != std::string::npos);
  CHECK(steps("c", true) == "ab bc");
}

TEST_CASE_METHOD(Fixture, "A name that is taken there is in the way, force or not") {
  theirs.receive(ours.at("a"));
  theirs.make("c");
  CHECK(steps("c") == "exists");
  CHECK(steps("c", true) == "exists");
  CHECK(plan("c", true).status().message().find("another snapshot 'c'") != std::string::npos);
  CHECK(steps("b", true) == "ab");
}

TEST_CASE_METHOD(Fixture, "What goes back finds what it came from") {
  // ours -> theirs, which goes on, and back.
  theirs.receive(ours.at("a"));
  theirs.receive(ours.at("b"));
  theirs.make("d");
  const auto back = plan_chain(theirs.list, ours.list, {}, "d", true);
  REQUIRE(back.ok());
  CHECK(back->common->name == "b");
  REQUIRE(back->steps.size() == 1);
  CHECK(back->steps[0].parent->name == "b");
  // 'c' of ours came later than 'b', and is lost.
  CHECK(plan_chain(theirs.list, ours.list, {}, "d", false).status().code() == Code::exists);
  ours.at("c").deleting = true;
  CHECK(plan_chain(theirs.list, ours.list, {}, "d", false).ok());
  // What it came from was written to.
  ours.at("b").written = true;
  CHECK(plan_chain(theirs.list, ours.list, {}, "d", true).status().code() == Code::exists);
  ours.at("b").name = "renamed";
  CHECK(plan_chain(theirs.list, ours.list, {}, "d", true)->common->name == "a");
  ours.at("renamed").written = false;
  ours.receive(theirs.at("d"));
  CHECK(steps("d").empty());
  ours.make("e");
  CHECK(steps("e") == "de");
}

TEST_CASE_METHOD(Fixture, "Copies of a third server's snapshots are common") {
  Side third(3);
  third.make("z");
  Side left(4), right(5);
  left.receive(third.at("z"));
  right.receive(third.at("z"));
  left.make("y");
  const auto chain = plan_chain(left.list, right.list, {}, "y", false);
  REQUIRE(chain.ok());
  REQUIRE(chain->steps.size() == 1);
  CHECK(chain->steps[0].parent->name == "z");
}

TEST_CASE_METHOD(Fixture, "What was cut off is gone on with if it comes next") {
  receiving("a", nullptr);
  CHECK(steps("c") == "a+ ab bc");
  theirs.receive(ours.at("a"));
  CHECK(steps("c") == "ab bc");
  receiving("b", "a");
  CHECK(steps("c") == "ab+ bc");
  CHECK(plan("c")->steps[0].resume->offset == 4096);
  receiving("b", "a", false);
  CHECK(steps("c") == "ab bc");
  receiving("c", "a");
  CHECK(steps("c") == "ab bc");
  receiving("b", "c");
  CHECK(steps("c") == "ab bc");
  receiving("b", "a");
  ours.at("b").written = true;
  CHECK(steps("c") == "ab bc");
  // Begun by force: it goes on without.
  receiving("b", "a");
  ours.at("b").written = false;
  theirs.make("x");
  CHECK(steps("c") == "ab+ bc");
}

TEST_CASE_METHOD(Fixture, "What is no replica of this is refused") {
  CHECK(steps("nobody") == "not_found");
  theirs.replication.role = ReplicationRole::primary;
  CHECK(steps("c") == "denied");
  CHECK(steps("c", true) == "denied");
  theirs.replication.role = ReplicationRole::replica;
  CHECK(steps("c") == "a ab bc");
  theirs.list.volume_size += 4096;
  CHECK(steps("c") == "invalid");
  theirs.list.volume_size -= 4096;
  theirs.list.store = ours.list.store;
  CHECK(steps("c") == "invalid");
}

}  // namespace csnap
