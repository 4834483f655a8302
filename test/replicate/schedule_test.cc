// SPDX-License-Identifier: Apache-2.0
#include "tools/replicate/schedule.h"

#include <catch2/catch.hpp>

#include "tools/replicate/lag.h"

namespace csnap {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kThen = 1795319378 * kSecond;  // 2026-11-22 03:49:38 UTC

Admin::SnapshotList list_of(std::initializer_list<std::string> names) {
  Admin::SnapshotList list;
  for (const auto& name : names) {
    auto& entry = list.snapshots.emplace_back();
    entry.name = name;
    entry.id = list.snapshots.size();
    entry.created_ns = kThen + entry.id * 60 * kSecond;
  }
  return list;
}

const std::string kA = "r-20261122T000000Z", kB = "r-20261122T000001Z", kC = "r-20261122T000001Z-2",
                  kD = "r-20261122T000002Z";
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("A period is a number and a unit") {
  using namespace std::chrono_literals;
  CHECK(*parse_period("1s") == 1s);
  CHECK(*parse_period("30s") == 30s);
  CHECK(*parse_period("15m") == 15min);
  CHECK(*parse_period("1h") == 1h);
  CHECK(*parse_period("365d") == 365 * 24h);
  for (const char* text : {"", "s", "0s", "-1s", "1", "1w", "1.5h", "1 h", "366d", "1hh", "h1",
                           "99999999999999999999s", "9223372036854775807d"}) {
    INFO(text);
    CHECK(parse_period(text).status().code() == Code::invalid);
  }
}

TEST_CASE("A period is told by its two largest units") {
  using std::chrono::seconds;
  CHECK(format_period(seconds(0)) == "0 s");
  CHECK(format_period(seconds(59)) == "59 s");
  CHECK(format_period(seconds(60)) == "1 min");
  CHECK(format_period(seconds(3599)) == "59 min 59 s");
  CHECK(format_period(seconds(3600)) == "1 h");
  CHECK(format_period(seconds(86399)) == "23 h 59 min");
  CHECK(format_period(seconds(2 * 86400 + 4 * 3600)) == "2 d 4 h");
}

TEST_CASE("Scheduled names have the time, and are taken by nobody") {
  CHECK(scheduled_name("r-", kThen, {}) == "r-20261122T034938Z");
  CHECK(scheduled_name("r-", kThen, list_of({"r-20261122T034938Z"})) == "r-20261122T034938Z-2");
  CHECK(scheduled_name("r-", kThen, list_of({"r-20261122T034938Z", "r-20261122T034938Z-2"})) ==
        "r-20261122T034938Z-3");
  CHECK(scheduled_name("r-", kThen, list_of({"r-20261122T034938Z-2"})) == "r-20261122T034938Z-3");
}

TEST_CASE("Scheduled names are told from others") {
  for (const auto& name : {kA, kB, kC, kD}) CHECK(is_scheduled_name("r-", name));
  CHECK(is_scheduled_name("", "20261122T034938Z"));
  for (const char* name :
       {"r-", "r-important", "r-20261122T034938", "r-20261122T034938Zx", "r-20261122T034938Z-",
        "r-20261122T034938Z-x", "r-20261122 034938Z", "r-20261122T034938Z-100",
        "r-20261122T034938Zx2", "x-20261122T034938Z", "r-2026112AT034938Z"}) {
    INFO(name);
    CHECK_FALSE(is_scheduled_name("r-", name));
  }
}

TEST_CASE("A prefix leaves room for the time") {
  CHECK(check_prefix("").ok());
  CHECK(check_prefix(std::string(45, 'x')).ok());
  CHECK_FALSE(check_prefix(std::string(46, 'x')).ok());
  CHECK_FALSE(check_prefix("a/b").ok());
  CHECK_FALSE(check_prefix("\xff").ok());
}

TEST_CASE("What goes is what is oldest, ours and not needed") {
  auto list = list_of({kA, "r-important", kB, kC, "monday", kD});
  CHECK(outdated(list, "r-", 4, {}).empty());
  CHECK(outdated(list, "r-", 9, {}).empty());
  CHECK(outdated(list, "r-", 3, {}) == Names{kA});
  CHECK(outdated(list, "r-", 1, {}) == Names{kA, kB, kC});
  CHECK(outdated(list, "r-", 0, {}) == Names{kA, kB, kC, kD});
  CHECK(outdated(list, "r-", 1, {3}) == Names{kA, kC});
  CHECK(outdated(list, "s-", 1, {}).empty());
  list.snapshots[0].deleting = true;
  CHECK(outdated(list, "r-", 1, {}) == Names{kB, kC});
}

TEST_CASE("What streams begin from is needed, and what is sent next") {
  auto list = list_of({"a", "b", "c", "d", "e"});
  Replication known;
  using Ids = std::set<std::uint64_t>;
  // Nothing is known of the other one: it is sent the first.
  CHECK(needed_for_streams(known, list, "there:1") == Ids{1});
  CHECK(needed_for_streams(known, list, "").empty());
  known.replicas = {{Uuid::from_random(1, 2), "there:1", SnapshotId(2), kThen}};
  CHECK(needed_for_streams(known, list, "there:1") == Ids{2, 3});
  CHECK(needed_for_streams(known, list, "there:2") == Ids{1, 2, 3});
  list.snapshots[2].deleting = true;
  CHECK(needed_for_streams(known, list, "there:1") == Ids{2, 4});
  known.replicas.push_back({Uuid::from_random(3, 4), "there:2", SnapshotId(5), kThen});
  known.receiving.emplace();
  known.receiving->parent_id = SnapshotId(1);
  CHECK(needed_for_streams(known, list, "there:1") == Ids{1, 2, 4, 5});
}

TEST_CASE("The next one is due so long after the last one of that kind") {
  using namespace std::chrono_literals;
  auto list = list_of({kA, kB, "later"});
  const std::uint64_t last = list.snapshots[1].created_ns;
  CHECK(until_due(list, "r-", 1h, last) == 1h);
  CHECK(until_due(list, "r-", 1h, last + 600 * kSecond) == 50min);
  CHECK(until_due(list, "r-", 1h, last + 3600 * kSecond) == 0s);
  CHECK(until_due(list, "r-", 1h, last + 99999 * kSecond) == 0s);
  CHECK(until_due(list, "s-", 1h, last) == 0s);
  // A clock that was set back holds nothing up for longer than that.
  CHECK(until_due(list, "r-", 1h, last - 99999 * kSecond) == 1h);
  list.snapshots[1].deleting = true;
  CHECK(until_due(list, "r-", 1h, last) == 1h - 60s);
}

TEST_CASE("Attempts come at growing distances") {
  CHECK(pause_after(1).count() == 1);
  CHECK(pause_after(2).count() == 2);
  CHECK(pause_after(6).count() == 32);
  CHECK(pause_after(7).count() == 60);
  CHECK(pause_after(1000).count() == 60);
}

TEST_CASE("The lag is what is missing, and how old what is there") {
  auto list = list_of({"a", "b", "c", "d"});
  const Replica replica{Uuid::from_random(1, 2), "there:1", SnapshotId(2), kThen};
  const std::uint64_t now = kThen + 10 * 60 * kSecond;
  Lag lag = lag_of(replica, list, now);
  CHECK(lag.newest == "b");
  CHECK(lag.missing == 2);
  CHECK(lag.behind_ns == 8 * 60 * kSecond);
  list.snapshots[3].deleting = true;
  CHECK(lag_of(replica, list, now).missing == 1);
  list.snapshots[2].deleting = true;
  lag = lag_of(replica, list, now);
  CHECK(lag.missing == 0);
  CHECK(lag.behind_ns == 0);
  // What is there was deleted here: then it is as old as when it was heard of, at least.
  list = list_of({"a", "b", "c"});
  list.snapshots.erase(list.snapshots.begin() + 1);
  lag = lag_of(replica, list, now);
  CHECK_FALSE(lag.newest);
  CHECK(lag.missing == 1);
  CHECK(lag.behind_ns == 10 * 60 * kSecond);
  CHECK(lag_of(replica, list, kThen - 1).behind_ns == 0);
}

}  // namespace csnap
