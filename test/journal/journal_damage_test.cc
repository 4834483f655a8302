// SPDX-License-Identifier: Apache-2.0
// What a scan makes of a journal that a crash, an earlier lap, another server or an enemy left.
#include <catch2/catch.hpp>
#include <cstring>

#include "journal/journal.h"
#include "journal/journal_format.h"
#include "store/crc.h"
#include "test/journal/journal_rig.h"

namespace csnap {
namespace {

// Two commits, of which the second is the one to be damaged: three blocks, with records that go on
// into its second block, and an image.
struct TwoCommits {
  explicit TwoCommits(std::uint64_t ring = 16, std::uint64_t first_size = 10) : rig(ring) {
    if (first_size > 2 * kBlockSize) {  // then the second goes round the end of the ring
      REQUIRE(rig.append(rig.commit(filler(first_size, 1))).ok());
      rig.journal->set_tail(rig.journal->head());
    }
    REQUIRE(rig.append("first").ok());
    expected = rig.scan().commits;
    second = rig.commit(filler(5000, 2), {rig.image(100, 3)});
    REQUIRE(second.blocks == 3);
  }
  void append_second() { REQUIRE(rig.append(second).ok()); }
  // Finds the first, and the second only if it should be there.
  void check(const ScanOutcome& found, bool whole) {
    auto wanted = expected;
    if (whole) wanted.push_back(second);
    REQUIRE(found.status.ok());
    REQUIRE(found.commits == wanted);
    REQUIRE(found.head == (whole ? rig.journal->head() : second.position));
  }

  JournalRig rig;
  std::vector<TestCommit> expected;
  TestCommit second;
};

TEST_CASE("a flipped byte anywhere in a commit ends the journal before it") {
  TwoCommits two;
  two.append_second();
  two.check(two.rig.scan(), true);
  const auto at = two.rig.volume_offset(two.second.position.block);
  const auto whole = two.rig.volume->bytes(at, 3 * kBlockSize);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::byte flipped[] = {whole[i] ^ std::byte{1} << (i % 8)};
    two.rig.volume->poke(at + i, flipped);
    INFO("byte " << i);
    two.check(two.rig.scan(), false);
    two.rig.volume->poke(at + i, std::span(&whole[i], 1));
  }
  two.check(two.rig.scan(), true);
}

TEST_CASE("a commit cut short at any byte ends the journal before it") {
  TwoCommits two;
  const auto at = two.rig.volume_offset(two.second.position.block);
  const auto before = two.rig.volume->bytes(at, 3 * kBlockSize);
  two.append_second();
  const auto whole = two.rig.volume->bytes(at, 3 * kBlockSize);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO("the first " << size << " bytes");
    two.rig.volume->poke(at, std::span(whole).first(size));
    two.rig.volume->poke(at + size, std::span(before).subspan(size));
    // The last bytes of a random image may happen to be those that were there before.
    if (std::equal(whole.begin() + size, whole.end(), before.begin() + size)) continue;
    two.check(two.rig.scan(), false);
  }
}

// Appends the second commit, cuts the power while it is being written, and lets the sectors of it
// survive that `survives` picks, counted from the start of the commit.
ScanOutcome torn(TwoCommits& two, const std::function<bool(std::size_t)>& survives) {
  auto& rig = two.rig;
  rig.journal->append(JournalRig::content(two.second), {}, [](const Status&) {});
  const auto after_crash = rig.volume->clone();
  const auto ring_bytes = rig.layout.blocks * kBlockSize;
  const auto from = rig.volume_offset(two.second.position.block);
  after_crash->crash([&](const UnflushedWrite& write, std::size_t sector) {
    const auto at = write.offset + sector * MemoryVolume::kSector;
    return survives((at + ring_bytes - from) % ring_bytes / MemoryVolume::kSector);
  });
  while (rig.journal->busy()) REQUIRE(rig.device->poll() > 0);
  return rig.scan(*after_crash, rig.journal->tail());
}

TEST_CASE("a commit torn at any sector ends the journal before it") {
  const std::size_t first_size = GENERATE(10u, 12 * 4096u);
  const std::size_t sectors = 3 * kBlockSize / MemoryVolume::kSector;
  for (std::size_t n = 0; n <= sectors; ++n) {
    INFO(n << " sectors");
    TwoCommits head(16, first_size), tail(16, first_size), hole(16, first_size);
    head.check(torn(head, [&](std::size_t s) { return s < n; }), n == sectors);
    tail.check(torn(tail, [&](std::size_t s) { return s >= n; }), n == 0);
    hole.check(torn(hole, [&](std::size_t s) { return s != n; }), n == sectors);
  }
}

TEST_CASE("a commit of an earlier lap is not taken for a new one") {
  JournalRig rig(8);
  for (int i = 0; i < 40; ++i) {
    while (rig.journal->free_blocks() == 0) rig.journal->set_tail(rig.scan().commits[3].position);
    REQUIRE(rig.append("all of one length").ok());
    const auto found = rig.scan();
    REQUIRE(found.status.ok());
    REQUIRE(found.head == rig.journal->head());
    REQUIRE(found.commits.size() == rig.journal->live_blocks());
  }
}

TEST_CASE("what is left of a longer commit that failed is not taken for the next one") {
  JournalRig rig(16);
  rig.failing->fail_next(IoKind::flush);
  REQUIRE_FALSE(rig.append(rig.commit(filler(20000, 1), {rig.image(100, 1)})).ok());
  REQUIRE(rig.append("short").ok());
  CHECK(rig.scan().commits.size() == 1);
  REQUIRE(rig.append("short").ok());
  CHECK(rig.scan().commits.size() == 2);
}

TEST_CASE("a commit of a lower epoch than the one before it ends the journal") {
  JournalRig rig(16);
  REQUIRE(rig.append("by the first server").ok());
  auto before = rig.journal->head();
  rig.restart({0, Sequence(1)}, before);
  REQUIRE(rig.append("by the second").ok());
  CHECK(rig.scan().commits.size() == 2);
  before = rig.journal->head();
  rig.epoch = Epoch(0);
  rig.restart({0, Sequence(1)}, before);
  REQUIRE(rig.epoch == Epoch(1));
  REQUIRE(rig.append("by the first, which does not know yet").ok());
  const auto found = rig.scan();
  CHECK(found.commits.size() == 2);
  CHECK(found.head == before);
}

TEST_CASE("a commit of another store ends the journal") {
  JournalRig rig(16);
  REQUIRE(rig.append("x").ok());
  Uuid other = rig.uuid;
  other.bytes[7] ^= 1;
  const auto head = scan_journal(*rig.device, rig.layout, other, rig.journal->tail(),
                                 [](const ScannedCommit&) { return Status(); });
  REQUIRE(head.ok());
  CHECK(head.value() == rig.journal->tail());
}

TEST_CASE("a commit copied to another place of the ring is not taken") {
  JournalRig rig(16);
  REQUIRE(rig.append("x").ok());
  rig.put_ring_block(1, rig.ring_block(0));
  CHECK(rig.scan(*rig.volume, {1, Sequence(1)}).commits.empty());
  CHECK(rig.scan(*rig.volume, {0, Sequence(1)}).commits.size() == 1);
}

// -- checksums right, content insane --------------------------------------------------------------

// A commit with two images, to be changed and sealed again by somebody who can compute checksums.
struct Forger {
  Forger() {
    REQUIRE(
        rig.append(rig.commit(bytes_of("records"), {rig.image(100, 1), rig.image(101, 2)})).ok());
    block = rig.ring_block(0);
    header = &view_as<CommitHeader>(std::span(block).subspan(sizeof(BlockHeader)));
  }
  Le64& home(std::size_t n) {
    return view_as<Le64>(std::span(block).subspan(kCommitRecords + 7 + n * sizeof(Le64)));
  }
  // Gives an image another home, and a header that says so.
  void move_image(std::size_t n, std::uint64_t to) {
    home(n).set(to);
    auto image = rig.ring_block(1 + n);
    seal_block(image, BlockKind::leaf, BlockAddress(to), rig.uuid, Sequence(1));
    rig.put_ring_block(1 + n, image);
  }
  ScanOutcome scan() {
    const auto body = rig.volume->bytes(rig.volume_offset(1), 2 * kBlockSize);
    header->body_crc.set(crc32c(body));
    seal_checksum(block);
    rig.put_ring_block(0, block);
    return rig.scan();
  }
  void check_refused() {
    const auto found = scan();
    CHECK(found.status.code() == Code::corrupt);
    CHECK(found.commits.empty());
    CHECK(found.status.message().find("commit 1 at block 0") != std::string::npos);
  }

  JournalRig rig{16};
  Bytes block;
  CommitHeader* header;
};

TEST_CASE("the forger's tools make a commit that is taken") {
  Forger forger;
  forger.move_image(0, JournalRig::kBase - 1);
  forger.move_image(1, JournalRig::kBase + 16);
  CHECK(forger.scan().commits.size() == 1);
}

TEST_CASE("insane counts under a right checksum are corrupt") {
  Forger forger;
  SECTION("no block") {
    forger.header->blocks.set(0);
  }
  SECTION("a block too few") {
    forger.header->blocks.set(2);
  }
  SECTION("a block too many") {
    forger.header->blocks.set(4);
  }
  SECTION("more blocks than the ring") {
    forger.header->blocks.set(16);
  }
  SECTION("blocks without end") {
    forger.header->blocks.set(0xffffffff);
  }
  SECTION("more images than blocks") {
    forger.header->images.set(3);
  }
  SECTION("images without end") {
    forger.header->images.set(0xffffffff);
  }
  SECTION("records beyond the blocks") {
    forger.header->record_bytes.set(3 * kBlockSize);
  }
  SECTION("records without end") {
    forger.header->record_bytes.set(0xffffffff);
  }
  SECTION("everything without end") {
    forger.header->blocks.set(0xffffffff);
    forger.header->images.set(0xffffffff);
    forger.header->record_bytes.set(0xffffffff);
  }
  SECTION("counts that agree but do not fit the ring") {
    forger.header->images.set(20);
    forger.header->blocks.set(21);
  }
  SECTION("an unknown flag") {
    forger.header->flags.set(2);
  }
  SECTION("images of no checkpoint") {
    forger.header->checkpoint.set(0);
  }
  SECTION("images of a checkpoint to come") {
    forger.header->checkpoint.set(2);
  }
  forger.check_refused();
}

TEST_CASE("an insane image under a right checksum is corrupt") {
  Forger forger;
  SECTION("its home is another block's") {
    forger.home(0).set(102);
  }
  SECTION("its home is beyond the device") {
    forger.move_image(0, JournalRig::kVolumeBlocks);
  }
  SECTION("its home is out of this world") {
    forger.move_image(1, ~0ULL);
  }
  SECTION("its home is in the journal") {
    forger.move_image(1, JournalRig::kBase + 15);
  }
  SECTION("its home is the first block of the journal") {
    forger.move_image(0, JournalRig::kBase);
  }
  SECTION("it is damaged") {
    auto image = forger.rig.ring_block(2);
    image[1000] ^= std::byte{1};
    forger.rig.put_ring_block(2, image);
  }
  SECTION("it is a commit block") {
    auto image = forger.rig.ring_block(2);
    seal_block(image, BlockKind::commit, BlockAddress(101), forger.rig.uuid, Sequence(1));
    forger.rig.put_ring_block(2, image);
  }
  SECTION("it is of a kind that does not exist") {
    auto image = forger.rig.ring_block(2);
    seal_block(image, static_cast<BlockKind>(7), BlockAddress(101), forger.rig.uuid, Sequence(1));
    forger.rig.put_ring_block(2, image);
  }
  forger.check_refused();
}

TEST_CASE("a commit that would reach its own tail is corrupt") {
  JournalRig rig(8);
  for (int i = 0; i < 5; ++i) REQUIRE(rig.append("x").ok());
  REQUIRE(rig.append(rig.commit(filler(5000, 1))).ok());
  auto found = rig.scan();
  REQUIRE(found.status.ok());
  REQUIRE(found.commits.size() == 6);
  auto block = rig.ring_block(5);
  auto& header = view_as<CommitHeader>(std::span(block).subspan(sizeof(BlockHeader)));
  header.blocks.set(3);
  header.record_bytes.set(9000);
  seal_checksum(block);
  rig.put_ring_block(5, block);
  found = rig.scan();
  CHECK(found.status.code() == Code::corrupt);
  CHECK(found.commits.size() == 5);
}

TEST_CASE("random headers under a right checksum never do harm") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  for (int round = 0; round < 300; ++round) {
    Forger forger;
    for (auto changes = 1 + rng() % 4; changes > 0; --changes) {
      const auto at = sizeof(BlockHeader) + rng() % (sizeof(CommitHeader) + 7 + 16);
      forger.block[at] = rng() % 2 ? std::byte(rng()) : std::byte(rng() % 4);
    }
    const auto found = forger.scan();
    REQUIRE((found.status.ok() || found.status.code() == Code::corrupt));
    REQUIRE(found.commits.size() <= 1);
  }
}

}  // namespace
}  // namespace csnap
