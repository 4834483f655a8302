// SPDX-License-Identifier: Apache-2.0
// The journal against a twin that is a deque of commits, under random appends, tails, failures,
// power cuts and restarts.
#include <catch2/catch.hpp>
#include <deque>
#include <random>

#include "journal/journal.h"
#include "test/journal/journal_rig.h"

namespace csnap {
namespace {

class Twin {
 public:
  explicit Twin(std::uint64_t seed) : rng_(seed), rig_(20 + seed % 60) {}

  void step() {
    switch (rng_() % 8) {
      case 0:
      case 1:
      case 2:
      case 3:
        return append();
      case 4:
        return move_tail();
      case 5:
        return append_failing();
      case 6:
        return append_into_power_cut();
      default:
        return restart();
    }
  }

  void check() {
    const auto found = rig_.scan();
    REQUIRE(found.status.ok());
    REQUIRE(found.commits.size() >= live_.size());
    REQUIRE(std::equal(live_.begin(), live_.end(), found.commits.begin()));
    if (found.commits.size() == live_.size()) {
      REQUIRE(found.head == rig_.journal->head());
      return;
    }
    // Something that was never acknowledged: whole, and the only one.
    REQUIRE(found.commits.size() == live_.size() + 1);
    REQUIRE(std::find(ghosts_.begin(), ghosts_.end(), found.commits.back()) != ghosts_.end());
  }

  struct Counts {
    unsigned appended = 0, failed = 0, cut = 0, survived = 0, laps = 0;
  };
  Counts counts;

 private:
  bool one_in(unsigned n) { return rng_() % n == 0; }

  // Takes between one block and all that are free.
  TestCommit random_commit() {
    const auto free = rig_.journal->free_blocks();
    std::vector<TestImage> images;
    if (one_in(2))
      for (auto n = rng_() % std::min<std::uint64_t>(free, 5); n > 0; --n)
        images.push_back(rig_.image(100 + rng_() % 1000, ++unique_));
    const auto room = (free - images.size()) * kBlockSize - 104 - 8 * images.size();
    const auto most = one_in(4) ? room : std::min<std::uint64_t>(room, 300);
    auto commit = rig_.commit(filler(rng_() % (most + 1), ++unique_), std::move(images));
    commit.complete = !commit.images.empty() && one_in(2);
    return commit;
  }

  void append() {
    if (rig_.journal->free_blocks() == 0) return move_tail();
    const auto commit = random_commit();
    REQUIRE(rig_.append(commit).ok());
    acknowledged(commit);
    ++counts.appended;
  }

  void acknowledged(const TestCommit& commit) {
    live_.push_back(commit);
    ghosts_.clear();
    if (rig_.journal->head().block < commit.position.block) ++counts.laps;
  }

  void move_tail() {
    for (auto n = live_.empty() ? 0 : 1 + rng_() % live_.size(); n > 0; --n) live_.pop_front();
    rig_.journal->set_tail(live_.empty() ? rig_.journal->head() : live_.front().position);
    std::uint64_t blocks = 0;
    for (const auto& commit : live_) blocks += commit.blocks;
    REQUIRE(rig_.journal->live_blocks() == blocks);
  }

  void append_failing() {
    if (rig_.journal->free_blocks() == 0) return;
    const auto commit = random_commit();
    rig_.failing->fail_next(one_in(2) ? IoKind::write : IoKind::flush);
    REQUIRE_FALSE(rig_.append(commit).ok());
    ghosts_.push_back(commit);
    ++counts.failed;
  }

  void append_into_power_cut() {
    if (rig_.journal->free_blocks() == 0) return;
    const auto commit = random_commit();
    bool done = false;
    rig_.journal->append(JournalRig::content(commit), {}, [&](const Status& s) { done = s.ok(); });
    for (auto n = rng_() % 4; n > 0; --n) rig_.device->poll();
    const auto head = rig_.journal->head();
    rig_.volume->crash(rng_);
    if (done) {
      acknowledged(commit);
    } else {
      ghosts_.push_back(commit);
    }
    ++counts.cut;
    reopen(head);
  }

  void restart() {
    const auto head = rig_.journal->head();
    if (one_in(2)) rig_.volume->crash(rng_);
    reopen(head);
  }

  // A new server takes what it finds, or drops the last commit when that was never acknowledged
  // (as it does when the data of that commit did not reach the disk).
  void reopen(JournalPosition head) {
    const auto tail = rig_.journal->tail();
    const auto found = rig_.scan();
    REQUIRE(found.status.ok());
    if (found.commits.size() > live_.size() && one_in(2)) {
      ++counts.survived;
      REQUIRE(found.commits.size() == live_.size() + 1);
      REQUIRE(std::find(ghosts_.begin(), ghosts_.end(), found.commits.back()) != ghosts_.end());
      // What a killed server left may be in the disk's cache only.
      MemoryDevice flushed(rig_.volume);
      REQUIRE(flush_sync(flushed).ok());
      live_.push_back(found.commits.back());
      ghosts_.clear();
      head = found.head;
    }
    rig_.restart(tail, head);
  }

  std::mt19937_64 rng_;
  JournalRig rig_;
  std::deque<TestCommit> live_;     // acknowledged, from the tail on
  std::vector<TestCommit> ghosts_;  // never acknowledged, but may be found at the head
  std::uint64_t unique_ = 0;
};

TEST_CASE("the journal keeps what its twin keeps, whatever happens") {
  const std::uint64_t seed = std::random_device{}();
  Twin::Counts total;
  for (std::uint64_t run = 0; run < 40; ++run) {
    INFO("seed " << seed + run);
    Twin twin(seed + run);
    for (int i = 0; i < 150; ++i) {
      twin.step();
      twin.check();
    }
    total.appended += twin.counts.appended;
    total.failed += twin.counts.failed;
    total.cut += twin.counts.cut;
    total.survived += twin.counts.survived;
    total.laps += twin.counts.laps;
  }
  CHECK(total.appended > 0);
  CHECK(total.failed > 0);
  CHECK(total.cut > 0);
  CHECK(total.survived > 0);
  CHECK(total.laps > 0);
}

}  // namespace
}  // namespace csnap
