// SPDX-License-Identifier: Apache-2.0
// What a check says of a store that is well, and of one kind of damage each.
#include <catch2/catch.hpp>

#include <cstring>

#include "btree/leaf.h"
#include "btree/node.h"
#include "store/tables_format.h"
#include "test/check/check_rig.h"

namespace csnap {

TEST_CASE("A store that was closed in order is clean, and so is one that was not") {
  const bool separate = GENERATE(false, true);
  const unsigned shift = GENERATE(12u, 14u);
  RigOptions options = CheckRig::default_options();
  options.separate_metadata = separate;
  options.chunk_shift = shift;
  options.store_bytes <<= shift - 12;
  CheckRig rig(options);
  {
    const CheckReport report = rig.check(true);
    INFO(text_of(report));
    CHECK(report.findings.empty());
    CHECK(report.complete);
    CHECK(report.counts.leaves > 3);
    CHECK(report.counts.exceptions > 1000);
    CHECK(report.counts.data_chunks == report.counts.exceptions);
    CHECK(report.snapshots.size() == 3);
  }
  rig.open();
  for (std::uint64_t i = 0; i < 50; ++i) REQUIRE(rig.write_origin_now({Chunk(i * 17), 3}, 77).ok());
  REQUIRE(rig.remove("tuesday").ok());
  rig.kill();
  const CheckReport report = rig.check(true);
  INFO(text_of(report));
  CHECK_FALSE(report.damaged());
  CHECK(report.counts.commits > 0);
}

TEST_CASE("A damaged leaf is named, and whose chunks are lost with it") {
  CheckRig rig;
  const BlockAddress victim = rig.leaf(1);
  const auto root = rig.block(rig.superblock().tree_root);
  const std::uint64_t from = NodeView(root).key(1).value;
  rig.flip(victim);
  const CheckReport report = rig.check();
  INFO(text_of(report));
  REQUIRE(report.damaged());
  const Finding& finding = report.findings.front();
  CHECK(finding.area == CheckArea::tree);
  CHECK(finding.block == victim);
  REQUIRE(finding.lost.size() == 1);
  CHECK(finding.lost[0].chunks.start.value == from);
  CHECK(finding.lost[0].snapshots.size() == 3);
  CHECK(mentions(report, "lost: chunks " + std::to_string(from)));
  // Nothing else is wrong, and what is not reached is no leak.
  CHECK(report.number_of(Severity::damage) == 1);
  CHECK(report.number_of(Severity::leak) == 0);
}

TEST_CASE("A damaged root loses everything, and says so") {
  CheckRig rig;
  rig.flip(rig.superblock().tree_root);
  const CheckReport report = rig.check();
  INFO(text_of(report));
  REQUIRE(report.number_of(Severity::damage) == 1);
  REQUIRE(report.findings.front().lost.size() == 1);
  CHECK(report.findings.front().lost[0].chunks.count == 2000);
}

TEST_CASE("A wrong mask in a node is found") {
  CheckRig rig;
  rig.change(rig.superblock().tree_root, [](MutableBlock b) { node_set_mask(b, 0, 0xff); });
  const CheckReport report = rig.check();
  INFO(text_of(report));
  CHECK(report.number_of(Severity::damage) == 1);
  CHECK(mentions(report, "masks 0xff"));
}

TEST_CASE("Exceptions for no snapshot, outside the store, or two at one place are found") {
  CheckRig rig;
  constexpr std::size_t kFirst = sizeof(BlockHeader) + sizeof(LeafHead);
  const int kind = GENERATE(0, 1, 2);
  const BlockAddress victim = kind == 0 ? rig.superblock().snapshots : rig.leaf(0);
  rig.change(victim, [&](MutableBlock b) {
    auto& entry = view_as<DiskLeafEntry>(b.subspan(kFirst));
    auto& next = view_as<DiskLeafEntry>(b.subspan(kFirst + sizeof(DiskLeafEntry)));
    if (kind == 0) std::memset(&b[sizeof(BlockHeader) + 2 * sizeof(SnapshotDisk)], 0, 252);
    if (kind == 1) entry.store.set(3);
    if (kind == 2) entry.store.set(next.store.get());
  });
  const CheckReport report = rig.check();
  INFO(text_of(report));
  REQUIRE(report.damaged());
  if (kind == 0) CHECK(mentions(report, "bits of no snapshot"));
  if (kind == 1) CHECK(mentions(report, "outside of the store"));
  if (kind == 2) CHECK(mentions(report, "used by two exceptions"));
}

TEST_CASE("Bitmaps and counts that do not agree with the tree are found; leaks are no damage") {
  CheckRig rig;
  const Superblock s = rig.superblock();
  const std::uint64_t in_use = rig.leaf(0).value;
  const bool leak = GENERATE(false, true);
  rig.change(s.data.bitmap, [&](MutableBlock b) {
    const auto bit = leak ? s.data.blocks - 1 : in_use;
    b[sizeof(BlockHeader) + bit / 8] ^= std::byte(1u << bit % 8);
  });
  const CheckReport report = rig.check();
  INFO(text_of(report));
  if (leak) {
    CHECK(report.counts.leaked_blocks == 1);
    CHECK(mentions(report, "marked as used and used by nothing"));
  } else {
    CHECK(mentions(report, "counted as free: " + std::to_string(in_use)));
    CHECK(report.damaged());
  }
}

TEST_CASE("Data that rotted is found with --data, and whose it was") {
  CheckRig rig;
  const auto leaf = rig.block(rig.leaf(0));
  const LeafEntry entry = LeafView(leaf).entry(0);
  auto bytes = rig.store->bytes(entry.store.value * 4096, 4096);
  bytes[77] ^= std::byte{1};
  rig.store->poke(entry.store.value * 4096, bytes);
  CHECK_FALSE(rig.check(false).damaged());
  const CheckReport report = rig.check(true);
  INFO(text_of(report));
  REQUIRE(report.number_of(Severity::damage) == 1);
  const Finding& finding = report.findings.front();
  CHECK(finding.area == CheckArea::data);
  REQUIRE(finding.lost.size() == 1);
  CHECK(finding.lost[0].chunks == ChunkRun{entry.chunk, 1});
  CHECK(finding.lost[0].mask == entry.mask);
}

TEST_CASE("Damage of any fixed area is found") {
  CheckRig rig;
  const Superblock s = rig.superblock();
  const std::vector<std::pair<BlockAddress, CheckArea>> areas{
      {kSuperblockA, CheckArea::superblock}, {kSuperblockB, CheckArea::superblock},
      {s.snapshots, CheckArea::snapshots},   {s.clients, CheckArea::clients},
      {s.data.bitmap, CheckArea::bitmap},    {s.checksums, CheckArea::checksums}};
  for (const auto& [block, area] : areas) {
    const auto before = rig.block(block);
    rig.flip(block);
    const CheckReport report = rig.check(true);
    INFO("block " << block.value << "\n" << text_of(report));
    REQUIRE(report.damaged());
    CHECK(report.findings.front().area == area);
    CHECK(report.findings.front().block == block);
    rig.meta().poke(block.value * kBlockSize, before);
  }
  rig.flip(kSuperblockA);
  rig.flip(kSuperblockB);
  const CheckReport report = rig.check();
  CHECK(report.damaged());
  CHECK(report.complete);  // with the one in the journal
  const std::vector<std::byte> nothing(s.journal_blocks * kBlockSize);
  rig.meta().poke(s.journal.value * kBlockSize, nothing);
  CHECK_FALSE(rig.check().complete);
}

TEST_CASE("A damaged commit in the middle of the journal is found, and what came after it") {
  RigOptions options = CheckRig::default_options();
  options.journal_bytes = 1u << 20;  // no checkpoint while it goes on
  CheckRig rig(options);
  rig.open();
  rig.until_idle();
  REQUIRE(rig.write_origin_now({Chunk(1), 1}, 1).ok());
  rig.kill();
  rig.open();
  for (std::uint64_t i = 0; i < 8; ++i) REQUIRE(rig.create("s" + std::to_string(i)).ok());
  REQUIRE(rig.write_origin_now({Chunk(500), 4}, 2).ok());
  rig.kill();
  CHECK_FALSE(rig.check().damaged());
  // The fourth commit of this reign.
  const Superblock s = rig.superblock();
  BlockAddress commit = s.journal;
  const auto wanted = [&](const std::vector<std::byte>& block) {
    return check_block(block, BlockKind::commit, commit, s.uuid).ok() &&
           view_as<BlockHeader>(block).sequence.get() == (s.reign + 3).value;
  };
  while (!wanted(rig.block(commit)) && commit < s.journal + s.journal_blocks) commit = commit + 1;
  rig.flip(commit);
  const Status opened = rig.try_open();
  CHECK(opened.code() == Code::corrupt);
  const CheckReport report = rig.check();
  INFO(text_of(report));
  REQUIRE(report.damaged());
  CHECK(mentions(report, "journal is damaged at commit"));
  CHECK(mentions(report, "500 to 503"));
  // A lost commit may have given chunks up that were written anew since: their data tells.
  const auto leaf = rig.block(rig.leaf(0));
  const LeafEntry entry = LeafView(leaf).entry(0);
  auto bytes = rig.store->bytes(entry.store.value * 4096, 4096);
  bytes[77] ^= std::byte{1};
  rig.store->poke(entry.store.value * 4096, bytes);
  const auto repaired = rig.repair();
  REQUIRE(repaired.ok());
  CHECK(repaired->done.chunks_rotten == 1);
  CHECK(repaired->done.exceptions_cleared == 0);
  CHECK_FALSE(rig.check(true).damaged());
}

TEST_CASE("Neighbouring chunks whose data rotted are one finding, wherever it lay") {
  CheckRig rig(CheckRig::default_options(), false);
  rig.open();
  REQUIRE(rig.create("monday").ok());
  for (const std::uint64_t c : {10, 12, 11, 13, 20}) {
    REQUIRE(rig.write_origin_now({Chunk(c), 1}, c).ok());
    rig.until_idle();
  }
  rig.close();
  const auto leaf = rig.block(rig.superblock().tree_root);
  for (unsigned i = 0; i < LeafView(leaf).entries(); ++i) {
    const LeafEntry entry = LeafView(leaf).entry(i);
    const std::uint64_t bytes = entry.length * kBlockSize;
    rig.store->poke(entry.store.value * kBlockSize, std::vector<std::byte>(bytes, std::byte{7}));
  }
  const CheckReport report = rig.check(true);
  INFO(text_of(report));
  REQUIRE(report.number_of(Severity::damage) == 2);
  CHECK(mentions(report, "lost: chunks 10 to 13 of monday"));
  CHECK(mentions(report, "lost: chunk 20 of monday"));
}

}  // namespace csnap
