// SPDX-License-Identifier: Apache-2.0
// A journal that was damaged is told from one that a crash tore.
#include <catch2/catch.hpp>
#include <random>

#include "test/journal/journal_rig.h"

namespace csnap {
namespace {

std::optional<LaterCommit> find_later(const JournalRig& rig, MemoryVolume& volume) {
  const ScanOutcome found = rig.scan(volume, rig.journal->tail());
  REQUIRE(found.status.ok());
  MemoryDevice device(volume.clone());
  const Epoch epoch = found.commits.empty() ? Epoch() : found.commits.back().epoch;
  auto later =
      find_later_commit(device, rig.layout, rig.uuid, rig.journal->tail(), found.head, epoch);
  REQUIRE(later.ok());
  return *later;
}

void flip(JournalRig& rig, std::uint64_t block) {
  Bytes bytes = rig.ring_block(block);
  bytes[100] ^= std::byte{1};
  rig.put_ring_block(block, bytes);
}

}  // namespace

TEST_CASE("A damaged commit with others behind it is not the journal's end") {
  JournalRig rig(64);
  for (int i = 0; i < 8; ++i) REQUIRE(rig.append("record").ok());
  CHECK_FALSE(find_later(rig, *rig.volume));
  flip(rig, 3);
  const auto later = find_later(rig, *rig.volume);
  REQUIRE(later);
  CHECK(later->position.block == 4);
  CHECK(later->position.sequence == rig.journal->next_sequence() - 4);
}

TEST_CASE("A damaged first commit is found too, and one whose neighbour cannot be read") {
  JournalRig rig(64);
  for (int i = 0; i < 8; ++i) REQUIRE(rig.append("record").ok());
  flip(rig, 0);
  CHECK(find_later(rig, *rig.volume));
  flip(rig, 1);
  CHECK(find_later(rig, *rig.volume)->position.block == 2);
}

TEST_CASE("The last commit may be torn, whatever earlier laps of the ring left behind it") {
  JournalRig rig(16);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(rig.append(rig.commit(filler(i % 3 * 4096, 7))).ok());
    const ScanOutcome found = rig.scan();
    REQUIRE(found.commits.size() >= 1);
    CHECK_FALSE(find_later(rig, *rig.volume));
    const JournalPosition last = found.commits.back().position;
    const auto torn = rig.volume->clone();
    const Bytes junk = filler(4096, 9);
    torn->poke(rig.volume_offset(last.block), junk);
    CHECK_FALSE(find_later(rig, *torn));
    rig.journal->set_tail(last);
  }
}

TEST_CASE("What an older server left behind the head is nobody's loss") {
  JournalRig rig(64);
  for (int i = 0; i < 6; ++i) REQUIRE(rig.append("old").ok());
  // The next server found only the first two: it goes on there, in an epoch of its own.
  const ScanOutcome found = rig.scan();
  rig.restart(rig.journal->tail(), found.commits[2].position);
  REQUIRE(rig.append("new").ok());
  CHECK(rig.scan().commits.size() == 3);
  CHECK_FALSE(find_later(rig, *rig.volume));
}

}  // namespace csnap
