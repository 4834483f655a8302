// SPDX-License-Identifier: Apache-2.0
#include "journal/journal.h"

#include <catch2/catch.hpp>
#include <set>

#include "journal/journal_format.h"
#include "store/zeros.h"
#include "test/journal/journal_rig.h"

namespace csnap {
namespace {

TEST_CASE("an empty journal has no commit and its head is its tail") {
  JournalRig rig(16);
  const auto found = rig.scan();
  REQUIRE(found.status.ok());
  CHECK(found.commits.empty());
  CHECK(found.head == JournalPosition{0, Sequence(1)});
  CHECK(rig.journal->live_blocks() == 0);
  CHECK(rig.journal->free_blocks() == 15);
  CHECK(rig.journal->capacity() == 15);
}

TEST_CASE("commits come back in order with everything they hold") {
  JournalRig rig(64);
  std::vector<TestCommit> appended;
  const auto append = [&](TestCommit commit) {
    REQUIRE(rig.append(commit).ok());
    appended.push_back(std::move(commit));
  };
  append(rig.commit({}));
  append(rig.commit(bytes_of("a few records")));
  append(rig.commit(filler(3 * kBlockSize, 1)));
  append(rig.commit(bytes_of("and images"), {rig.image(1000, 5), rig.image(1, 6)}));
  auto last = rig.commit(filler(5000, 2), {rig.image(4095, 7)});
  last.checkpoint = Sequence(4);
  last.complete = true;
  append(last);

  const auto found = rig.scan();
  REQUIRE(found.status.ok());
  CHECK(found.commits == appended);
  CHECK(found.head == rig.journal->head());
  CHECK(found.head == JournalPosition{1 + 1 + 4 + 3 + 3, Sequence(6)});
}

TEST_CASE("a checkpoint may be completed by a commit without images") {
  JournalRig rig(16);
  auto commit = rig.commit(bytes_of("r"));
  commit.checkpoint = Sequence(1);
  commit.complete = true;
  REQUIRE(rig.append(commit).ok());
  CHECK(rig.scan().commits == std::vector{commit});
}

TEST_CASE("records fill the first block to its end before a second is taken") {
  const std::size_t room = kBlockSize - kCommitRecords;
  CHECK(Journal::blocks_needed(0, 0) == 1);
  CHECK(Journal::blocks_needed(room, 0) == 1);
  CHECK(Journal::blocks_needed(room + 1, 0) == 2);
  CHECK(Journal::blocks_needed(room - 8, 1) == 2);
  CHECK(Journal::blocks_needed(room - 7, 1) == 3);
  CHECK(Journal::blocks_needed(0, room / 8 + 1) == 2 + room / 8 + 1);
  JournalRig rig(64);
  for (std::size_t size = room - 9; size < room + 2; ++size) {
    const auto commit = rig.commit(filler(size, size), {rig.image(100, size)});
    REQUIRE(rig.append(commit).ok());
    CHECK(rig.scan().commits.back() == commit);
  }
}

TEST_CASE("a commit that reaches the end of the ring goes on at its start") {
  JournalRig rig(8);
  REQUIRE(rig.append(rig.commit(filler(4 * kBlockSize, 1))).ok());
  CHECK(rig.journal->head() == JournalPosition{5, Sequence(2)});
  rig.journal->set_tail(rig.journal->head());
  const auto before = rig.volume->counters().writes;
  const auto wrapped = rig.commit(filler(4000, 2), {rig.image(100, 3), rig.image(101, 4)});
  REQUIRE(wrapped.blocks == 4);
  REQUIRE(rig.append(wrapped).ok());
  CHECK(rig.volume->counters().writes == before + 2);
  CHECK(rig.journal->head() == JournalPosition{1, Sequence(3)});
  CHECK(rig.scan().commits == std::vector{wrapped});
  CHECK(rig.scan().head == rig.journal->head());
}

TEST_CASE("a commit that ends with the ring is one write") {
  JournalRig rig(8);
  REQUIRE(rig.append(rig.commit(filler(4 * kBlockSize, 1))).ok());
  rig.journal->set_tail(rig.journal->head());
  const auto before = rig.volume->counters();
  const auto commit = rig.commit({}, {rig.image(100, 3), rig.image(101, 4)});
  REQUIRE(rig.append(commit).ok());
  CHECK(rig.volume->counters().writes == before.writes + 1);
  CHECK(rig.volume->counters().flushes == before.flushes + 1);
  CHECK(rig.journal->head() == JournalPosition{0, Sequence(3)});
  CHECK(rig.scan().commits == std::vector{commit});
}

TEST_CASE("a full ring leaves one block unused and is read back whole") {
  JournalRig rig(8);
  std::vector<TestCommit> appended;
  for (int lap = 0; lap < 3; ++lap) {
    rig.journal->set_tail(rig.journal->head());
    appended.clear();
    while (rig.journal->free_blocks() > 0) {
      appended.push_back(rig.commit(bytes_of("x")));
      REQUIRE(rig.append(appended.back()).ok());
    }
    CHECK(rig.journal->live_blocks() == 7);
    CHECK(rig.scan().commits == appended);
    CHECK(rig.scan().head == rig.journal->head());
  }
}

TEST_CASE("the tail may move over some commits and their blocks are free again") {
  JournalRig rig(8);
  for (int i = 0; i < 7; ++i) REQUIRE(rig.append("x").ok());
  const auto all = rig.scan().commits;
  rig.journal->set_tail(all[3].position);
  CHECK(rig.journal->free_blocks() == 3);
  CHECK(rig.scan().commits == std::vector(all.begin() + 3, all.end()));
}

TEST_CASE("no commit may take more than the largest that a scan accepts") {
  MemoryDevice device(std::make_shared<MemoryVolume>("large", 1ULL << 40));
  const JournalPosition start{0, Sequence(1)};
  const Journal journal(device, {BlockAddress(8), 1u << 20}, Uuid{}, Epoch(1), start, start);
  CHECK(journal.free_blocks() == kMaxCommitBlocks);
}

TEST_CASE("a commit longer than the pieces that a scan reads comes back") {
  JournalRig rig(3000);
  std::vector<TestCommit> appended;
  for (std::uint64_t i = 0; i < 3; ++i) {
    appended.push_back(rig.commit(filler(900 * kBlockSize, i)));
    REQUIRE(rig.append(appended.back()).ok());
    appended.push_back(rig.commit(filler(3, i)));
    REQUIRE(rig.append(appended.back()).ok());
  }
  CHECK(rig.scan().commits == appended);
  rig.journal->set_tail(appended[3].position);
  const auto wrapped = rig.commit(filler(1100 * kBlockSize, 9));
  REQUIRE(rig.append(wrapped).ok());
  const auto found = rig.scan();
  REQUIRE(found.commits.size() == 4);
  CHECK(found.commits[0] == appended[3]);
  CHECK(found.commits[3] == wrapped);
}

TEST_CASE("a commit is done only when it survives a power failure") {
  JournalRig rig(16);
  REQUIRE(rig.append("one").ok());
  rig.volume->crash_losing_all();
  CHECK(rig.scan().commits.size() == 1);
}

TEST_CASE("append copies what it is given") {
  JournalRig rig(16);
  const auto commit = rig.commit(filler(5000, 1), {rig.image(100, 2)});
  bool done = false;
  {
    TestCommit given = commit;
    rig.journal->append(JournalRig::content(given), {}, [&](const Status& s) { done = s.ok(); });
    given.records.assign(5000, std::byte{0});
    given.images[0].content.assign(kBlockSize, std::byte{0});
  }
  CHECK(rig.journal->busy());
  while (!done) REQUIRE(rig.failing->poll() > 0);
  CHECK_FALSE(rig.journal->busy());
  CHECK(rig.scan().commits == std::vector{commit});
}

TEST_CASE("the next commit may be appended from within done") {
  JournalRig rig(16);
  bool done = false;
  const auto second = [&](const Status& s) { done = s.ok(); };
  const auto first = [&](const Status& s) {
    REQUIRE(s.ok());
    rig.journal->append({bytes_of("second"), {}, {}, false}, {}, second);
  };
  rig.journal->append({bytes_of("first"), {}, {}, false}, {}, first);
  while (!done) REQUIRE(rig.failing->poll() > 0);
  CHECK(rig.scan().commits.size() == 2);
}

TEST_CASE("the journal may end from within done") {
  JournalRig rig(16);
  bool done = false;
  const Bytes records = bytes_of("last");
  rig.journal->append({records, {}, {}, false}, {}, [&](const Status& s) {
    done = s.ok();
    rig.journal.reset();
  });
  while (!done) REQUIRE(rig.failing->poll() > 0);
}

TEST_CASE("the memory of one commit serves the next") {
  JournalRig rig(64);
  std::set<const std::byte*> used;
  rig.failing->fails = [&](const IoRequest& request) {
    if (request.kind == IoKind::write) used.insert(request.data.data());
    return false;
  };
  REQUIRE(rig.append(rig.commit(filler(9 * kBlockSize, 1))).ok());
  for (std::uint64_t i = 0; i < 9; ++i)
    REQUIRE(rig.append(rig.commit(filler(i * kBlockSize / 2, i))).ok());
  CHECK(used.size() == 1);
}

TEST_CASE("nothing of an earlier commit is left in a later one") {
  JournalRig rig(16);
  REQUIRE(rig.append(rig.commit(filler(3 * kBlockSize, 1))).ok());
  const auto commit = rig.commit(bytes_of("short"), {rig.image(100, 2)});
  REQUIRE(rig.append(commit).ok());
  const auto block = rig.ring_block(commit.position.block);
  const auto unused = std::span(block).subspan(kCommitRecords + 5 + sizeof(Le64));
  CHECK(all_zero(unused));
}

// -- flushes --------------------------------------------------------------------------------------

TEST_CASE("all devices are flushed at once, after the writes, and done waits for all") {
  JournalRig rig(16);
  auto other_volume = std::make_shared<MemoryVolume>("other", 1 << 20);
  MemoryDevice other(other_volume);
  bool done = false;
  const Bytes records = bytes_of("r");
  rig.journal->append({records, {}, {}, false}, {&other, rig.failing.get(), &other},
                      [&](const Status& s) { done = s.ok(); });
  CHECK(other.in_flight() == 0);
  REQUIRE(rig.device->poll() == 1);  // the write
  CHECK(other.in_flight() == 1);
  CHECK(rig.device->in_flight() == 1);
  REQUIRE(rig.device->poll() == 1);
  CHECK_FALSE(done);
  CHECK(rig.journal->busy());
  REQUIRE(other.poll() == 1);
  CHECK(done);
  CHECK(rig.volume->counters().flushes == 1);
  CHECK(other_volume->counters().flushes == 1);
}

TEST_CASE("after any failed request the commit can be appended again or another in its place") {
  const auto kind = GENERATE(IoKind::write, IoKind::flush);
  const bool same = GENERATE(true, false);
  JournalRig rig(8);
  REQUIRE(rig.append("before").ok());
  const auto before = rig.scan().commits;
  const auto failing = rig.commit(filler(9000, 1));
  rig.failing->fail_next(kind);
  const Status failed = rig.append(failing);
  CHECK(failed.code() == Code::io_error);
  CHECK(failed.message().find("commit 2") != std::string::npos);
  CHECK_FALSE(rig.journal->busy());
  CHECK(rig.journal->head() == JournalPosition{1, Sequence(2)});
  CHECK(rig.journal->next_sequence() == Sequence(2));

  const auto retried = same ? failing : rig.commit(bytes_of("another"));
  REQUIRE(rig.append(retried).ok());
  auto expected = before;
  expected.push_back(retried);
  CHECK(rig.scan().commits == expected);
  CHECK(rig.scan().head == rig.journal->head());
}

TEST_CASE("a failed flush of another device fails the commit after everything has come back") {
  JournalRig rig(8);
  MemoryDevice below(std::make_shared<MemoryVolume>("other", 1 << 20));
  FailingDevice other(below);
  other.fail_next(IoKind::flush);
  std::vector<Status> ends;
  const Bytes records = bytes_of("r");
  const auto append = [&] {
    rig.journal->append({records, {}, {}, false}, {&other}, [&](Status s) { ends.push_back(s); });
    rig.device->poll();
    other.poll();
    CHECK(rig.journal->busy());
    rig.device->poll();
  };
  append();
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].code() == Code::io_error);
  CHECK(rig.journal->head() == JournalPosition{0, Sequence(1)});
  append();
  REQUIRE(ends.size() == 2);
  CHECK(ends[1].ok());
  CHECK(rig.scan().commits.size() == 1);
}

TEST_CASE("of two writes at the end of the ring a failed one fails the commit after both") {
  for (const std::uint64_t block : {6, 0}) {
    JournalRig rig(8);
    REQUIRE(rig.append(rig.commit(filler(5 * kBlockSize, 1))).ok());
    rig.journal->set_tail(rig.journal->head());
    const auto commit = rig.commit(filler(2 * kBlockSize, 2));
    REQUIRE(commit.position.block == 6);
    rig.failing->fails = [&](const IoRequest& request) {
      return request.kind == IoKind::write && request.offset == rig.volume_offset(block);
    };
    CHECK(rig.append(commit).code() == Code::io_error);
    CHECK(rig.device->in_flight() == 0);
    CHECK(rig.scan().commits.empty());
    rig.failing->fails = nullptr;
    REQUIRE(rig.append(commit).ok());
    CHECK(rig.scan().commits == std::vector{commit});
  }
}

// -- scanning -------------------------------------------------------------------------------------

TEST_CASE("what visit returns ends the scan") {
  JournalRig rig(16);
  for (int i = 0; i < 3; ++i) REQUIRE(rig.append("x").ok());
  unsigned visits = 0;
  const auto head = scan_journal(*rig.device, rig.layout, rig.uuid, rig.journal->tail(),
                                 [&](const ScannedCommit& commit) {
                                   ++visits;
                                   if (commit.position.sequence == Sequence(2))
                                     return Status(Code::stale, "no");
                                   return Status();
                                 });
  CHECK(head.status().code() == Code::stale);
  CHECK(visits == 2);
}

TEST_CASE("a block that cannot be read is an error and not the end of the journal") {
  JournalRig rig(16);
  for (int i = 0; i < 3; ++i) REQUIRE(rig.append(rig.commit(filler(5000, 1))).ok());
  for (std::uint64_t bad = 0; bad < 7; ++bad) {
    rig.failing->fails = [&](const IoRequest& request) {
      return request.kind == IoKind::read && request.offset <= rig.volume_offset(bad) &&
             rig.volume_offset(bad) < request.offset + request.data.size();
    };
    const auto found = rig.scan(*rig.failing, rig.journal->tail());
    CHECK(found.status.code() == Code::io_error);
    CHECK(found.commits.size() == bad / 2);
  }
}

TEST_CASE("a block beyond the end of the journal need not be readable") {
  JournalRig rig(16);
  for (int i = 0; i < 3; ++i) REQUIRE(rig.append(rig.commit(filler(5000, 1))).ok());
  rig.failing->fails = [&](const IoRequest& request) {
    return request.kind == IoKind::read &&
           request.offset + request.data.size() > rig.volume_offset(7);
  };
  const auto found = rig.scan(*rig.failing, rig.journal->tail());
  REQUIRE(found.status.ok());
  CHECK(found.commits.size() == 3);
}

TEST_CASE("a scan reads in large pieces") {
  JournalRig rig(2000);
  for (int i = 0; i < 1500; ++i) REQUIRE(rig.append("x").ok());
  const auto before = rig.volume->counters().reads;
  REQUIRE(rig.scan().commits.size() == 1500);
  CHECK(rig.volume->counters().reads - before == 6);
}

TEST_CASE("a journal that does not lie within its device is corrupt") {
  JournalRig rig(16);
  const auto scan = [&](JournalLayout layout, JournalPosition tail) {
    return scan_journal(*rig.device, layout, rig.uuid, tail,
                        [](const ScannedCommit&) { return Status(); })
        .status()
        .code();
  };
  const JournalPosition start{0, Sequence(1)};
  CHECK(scan(rig.layout, start) == Code::ok);
  CHECK(scan({BlockAddress(8), 0}, start) == Code::corrupt);
  CHECK(scan({BlockAddress(8), 1}, start) == Code::corrupt);
  CHECK(scan({BlockAddress(8), JournalRig::kVolumeBlocks - 7}, start) == Code::corrupt);
  CHECK(scan({BlockAddress(8), ~0ULL}, start) == Code::corrupt);
  CHECK(scan({BlockAddress(~0ULL), 16}, start) == Code::corrupt);
  CHECK(scan(rig.layout, {16, Sequence(1)}) == Code::corrupt);
}

}  // namespace
}  // namespace csnap
