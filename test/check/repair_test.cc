// SPDX-License-Identifier: Apache-2.0
// What repair makes of a store with one kind of damage each: clean, nothing wrong to be read, and
// no more lost than it says.
#include <catch2/catch.hpp>

#include "btree/leaf.h"
#include "btree/node.h"
#include "journal/journal.h"
#include "store/fault_device.h"
#include "test/check/check_rig.h"

namespace csnap {
namespace {

std::string text_of(const RepairReport& report) {
  std::string text = "before:\n" + text_of(report.before) + "after:\n" + text_of(report.after);
  for (const LostRange& lost : report.lost)
    text += "lost " + std::to_string(lost.chunks.start.value) + " +" +
            std::to_string(lost.chunks.count) + "\n";
  return text;
}

bool says_what_was_done(const RepairReport& report) {
  const Mended& done = report.done;
  return !report.deeds.empty() || !done.recovered.empty() || !report.lost.empty() ||
         done.blocks_cut + done.exceptions_cleared + done.chunks_rotten + done.masks_corrected +
                 done.bits_cleared + done.bitmap_blocks + done.checksum_blocks +
                 done.blocks_reclaimed >
             0;
}

// Repairs, and checks all that holds whatever the damage was. Returns how many chunks are lost,
// over all snapshots.
std::size_t repair_and_read(CheckRig& rig, bool data = false) {
  const auto report = rig.repair(data);
  if (!report.ok()) FAIL(report.status().to_string());
  INFO(text_of(*report));
  CHECK(report->before.damaged());
  CHECK(report->changed);
  CHECK(says_what_was_done(*report));
  CHECK_FALSE(report->after.damaged());
  CHECK(report->after.number_of(Severity::leak) == 0);
  for (const Snapshot& snapshot : report->after.snapshots)
    if (!report->lost.empty() && !snapshot.deleting) CHECK(snapshot.written);
  const auto again = rig.repair(data);
  REQUIRE(again.ok());
  CHECK_FALSE(again->changed);
  CHECK(rig.check_store() == "");
  std::size_t lost = 0;
  for (const auto& [id, chunks] : rig.read_everything()) {
    lost += chunks.size();
    for (const std::uint64_t chunk : chunks) {
      bool named = false;
      for (const LostRange& range : report->lost) named |= range.chunks.contains(Chunk(chunk));
      CHECK(named);
    }
  }
  return lost;
}

}  // namespace

TEST_CASE("A repair of a sound store changes nothing") {
  CheckRig rig;
  const auto before = rig.store->bytes(0, rig.store->size());
  const auto report = rig.repair(true);
  REQUIRE(report.ok());
  CHECK_FALSE(report->changed);
  CHECK(rig.store->bytes(0, rig.store->size()) == before);
}

TEST_CASE("Of a damaged leaf its chunks are lost, and nothing else") {
  const bool unclean = GENERATE(false, true);
  CheckRig rig;
  const Superblock s = rig.superblock();
  const auto root = rig.block(s.tree_root);
  const std::uint64_t from = NodeView(root).key(1).value, to = NodeView(root).key(2).value;
  const BlockAddress victim = rig.leaf(1);
  if (unclean) {
    // The journal holds what must go into the damaged leaf, and its neighbours.
    rig.open();
    REQUIRE(rig.create("late").ok());
    REQUIRE(rig.write_origin_now({Chunk(from - 5), to - from + 10}, 55).ok());
    rig.kill();
  }
  rig.flip(victim);
  const std::size_t lost = repair_and_read(rig);
  // What the journal proves to have had no exception is not lost.
  if (unclean)
    CHECK((lost > 0 && lost < 3 * (to - from)));
  else
    CHECK(lost == 3 * (to - from));
}

TEST_CASE("A damaged root costs nothing while its leaves are well") {
  CheckRig rig;
  rig.flip(rig.superblock().tree_root);
  CHECK(repair_and_read(rig) == 0);
}

TEST_CASE("Leaves below a damaged root stay where they are") {
  CheckRig rig;
  const Superblock before = rig.superblock();
  const auto root = rig.block(before.tree_root);
  const NodeView view(root);
  std::vector<std::pair<BlockAddress, std::vector<std::byte>>> leaves;
  for (unsigned i = 0; i < view.entries(); ++i)
    leaves.emplace_back(view.child(i), rig.block(view.child(i)));
  REQUIRE(leaves.size() > 3);
  rig.flip(before.tree_root);
  CHECK(repair_and_read(rig) == 0);
  for (const auto& [address, content] : leaves) CHECK(rig.block(address) == content);
  CHECK(rig.superblock().tree_blocks == before.tree_blocks);
}

TEST_CASE("A leaf that claims what another one below a damaged root has is not believed") {
  CheckRig rig;
  const Superblock s = rig.superblock();
  const BlockAddress one = rig.leaf(1), other = rig.leaf(2);
  const bool older = GENERATE(false, true);
  INFO("the older one of them " << older);
  const auto content = rig.block(other);
  rig.change(one, [&](MutableBlock b) {
    auto& header = view_as<BlockHeader>(b);
    header.sequence.set(header.sequence.get() + (older ? -1 : 1));
    constexpr std::size_t kFirst = sizeof(BlockHeader) + sizeof(LeafHead);
    auto& entry = view_as<DiskLeafEntry>(b.subspan(kFirst));
    const ConstBlock theirs = content;
    entry.store.set(view_as<DiskLeafEntry>(theirs.subspan(kFirst)).store.get());
  });
  rig.flip(s.tree_root);
  const auto report = rig.repair();
  if (!report.ok()) FAIL(report.status().to_string());
  INFO(text_of(*report));
  CHECK_FALSE(report->after.damaged());
  CHECK_FALSE(report->lost.empty());
  CHECK(rig.check_store() == "");
}

TEST_CASE("With a leaf damaged below a damaged root, what lay between the others is lost") {
  CheckRig rig;
  const auto root = rig.block(rig.superblock().tree_root);
  const std::uint64_t width = NodeView(root).key(2).value - NodeView(root).key(1).value;
  rig.flip(rig.leaf(1));
  rig.flip(rig.superblock().tree_root);
  const std::size_t lost = repair_and_read(rig);
  CHECK(lost >= 3 * width);
  CHECK(lost < 3 * (width + 200));
}

TEST_CASE("Bitmaps, checksums, tables, counts and superblocks cost no data") {
  const int kind = GENERATE(0, 1, 2, 3, 4, 5, 6);
  CheckRig rig;
  const Superblock s = rig.superblock();
  INFO("kind " << kind);
  if (kind == 0) rig.flip(s.data.bitmap);
  if (kind == 1) rig.flip(s.checksums);
  if (kind == 2) rig.flip(s.clients);
  if (kind == 3) rig.flip(kSuperblockA);
  if (kind == 4) rig.flip(kSuperblockB);
  if (kind == 5) rig.change(s.tree_root, [](MutableBlock b) { node_set_mask(b, 0, 0xff); });
  if (kind == 6)
    rig.change(s.data.bitmap, [&](MutableBlock b) {
      b[sizeof(BlockHeader) + s.tree_root.value / 8] = std::byte{0};
    });
  CHECK(repair_and_read(rig) == 0);
}

TEST_CASE("Both superblocks are found again in the journal") {
  CheckRig rig;
  rig.flip(kSuperblockA);
  rig.flip(kSuperblockB);
  const auto report = rig.repair();
  if (!report.ok()) FAIL(report.status().to_string());
  CHECK(report->changed);
  CHECK_FALSE(report->after.damaged());
  CHECK(rig.read_everything().empty());
}

TEST_CASE("A store with nothing left of both superblocks is known by its other blocks") {
  CheckRig rig;
  const std::vector<std::byte> nothing(kBlockSize, GENERATE(std::byte{0}, std::byte{0xa5}));
  rig.meta().poke(kSuperblockA.value * kBlockSize, nothing);
  rig.meta().poke(kSuperblockB.value * kBlockSize, nothing);
  const CheckReport found = rig.check();
  INFO(text_of(found));
  CHECK(found.complete);
  CHECK(found.number_of(Severity::damage) == 1);
  CHECK(mentions(found, "were overwritten"));
  const auto report = rig.repair();
  if (!report.ok()) FAIL(report.status().to_string());
  CHECK_FALSE(report->after.damaged());
  CHECK(rig.read_everything().empty());
}

TEST_CASE("Snapshots whose names are lost get others, and keep their content") {
  CheckRig rig;
  rig.flip(rig.superblock().snapshots);
  const auto report = rig.repair();
  if (!report.ok()) FAIL(report.status().to_string());
  INFO(text_of(*report));
  CHECK_FALSE(report->after.damaged());
  REQUIRE(report->after.snapshots.size() == 3);
  REQUIRE(report->before.doubts.size() == 1);
  CHECK(report->before.doubts[0].find("no content of their own") != std::string::npos);
  CHECK(report->after.snapshots[0].name == "recovered-0");
  CHECK(rig.read_everything().empty());
}

TEST_CASE("Two exceptions at one place are both lost") {
  CheckRig rig;
  rig.change(rig.leaf(0), [&](MutableBlock b) {
    constexpr std::size_t kFirst = sizeof(BlockHeader) + sizeof(LeafHead);
    auto& entry = view_as<DiskLeafEntry>(b.subspan(kFirst));
    auto& next = view_as<DiskLeafEntry>(b.subspan(kFirst + sizeof(DiskLeafEntry)));
    entry.store.set(next.store.get());
  });
  const std::size_t lost = repair_and_read(rig);
  CHECK(lost >= 2);
  CHECK(lost <= 6);
}

TEST_CASE("Data that rotted is marked as lost when the data is checked") {
  CheckRig rig;
  const auto leaf = rig.block(rig.leaf(0));
  const LeafEntry entry = LeafView(leaf).entry(3);
  auto bytes = rig.store->bytes(entry.store.value * 4096, 4096);
  bytes[77] ^= std::byte{1};
  rig.store->poke(entry.store.value * 4096, bytes);
  CHECK(repair_and_read(rig, true) == static_cast<std::size_t>(__builtin_popcountll(entry.mask)));
}

TEST_CASE("Of a damaged journal what came behind the damage is marked as lost") {
  CheckRig rig;
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(1), 1}, 1).ok());
  REQUIRE(rig.create("late").ok());
  for (std::uint64_t c = 100; c < 110; ++c)
    REQUIRE(rig.write_origin_now({Chunk(c), 1}, 1000 + c).ok());
  rig.kill();
  const Superblock s = rig.superblock();
  MemoryDevice device(rig.store);
  std::optional<JournalPosition> victim;
  const auto look = [&](const ScannedCommit& commit) -> Status {
    auto bytes = commit.records;
    while (!bytes.empty()) {
      const auto record = decode_record(bytes);
      REQUIRE(record.ok());
      const auto* added = std::get_if<ExceptionAdded>(&*record);
      if (added != nullptr && added->chunk == Chunk(107)) victim = commit.position;
    }
    return {};
  };
  REQUIRE(scan_journal(device, {s.journal, s.journal_blocks}, s.uuid, s.tail, look).ok());
  REQUIRE(victim);
  rig.flip(s.journal + victim->block);
  CHECK(rig.try_open().code() == Code::corrupt);
  const auto report = rig.repair();
  if (!report.ok()) FAIL(report.status().to_string());
  INFO(text_of(*report));
  CHECK(report->before.damaged());
  CHECK_FALSE(report->after.damaged());
  // Of the other one nobody knows what it said.
  REQUIRE(report->before.doubts.size() == 1);
  CHECK(report->before.doubts[0].find("one commit of the journal (" +
                                      std::to_string(victim->sequence.value) + ")") == 0);
  for (std::uint64_t c = 108; c < 110; ++c) {
    bool named = false;
    for (const LostRange& range : report->lost) named |= range.chunks.contains(Chunk(c));
    CHECK(named);
  }
}

TEST_CASE("A whole checkpoint behind the damage of a journal saves everything") {
  CheckRig rig;
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(1), 1}, 1).ok());
  rig.until_idle();
  const auto a = rig.block(kSuperblockA), b = rig.block(kSuperblockB);
  const Superblock before = rig.superblock();
  REQUIRE(rig.create("late").ok());
  for (std::uint64_t c = 0; rig.superblock().checkpoint == before.checkpoint; ++c)
    REQUIRE(rig.write_origin_now({Chunk(c), 1}, 1000 + c).ok());
  rig.kill();
  // As if the superblocks had not been written yet when the power failed.
  rig.meta().poke(kSuperblockA.value * kBlockSize, a);
  rig.meta().poke(kSuperblockB.value * kBlockSize, b);
  CHECK_FALSE(rig.check().damaged());
  rig.flip(before.journal + before.tail.block);
  const CheckReport report = rig.check();
  INFO(text_of(report));
  CHECK(mentions(report, "nothing is lost"));
  CHECK(report.number_of(Severity::damage) == 1);
  CHECK(repair_and_read(rig) == 0);
}

TEST_CASE("A copy of metadata without its data is no store") {
  const bool separate = GENERATE(false, true);
  const bool damaged = GENERATE(false, true);
  RigOptions options = CheckRig::default_options();
  options.separate_metadata = separate;
  CheckRig rig(options);
  rig.open();
  REQUIRE(rig.create("late").ok());
  REQUIRE(rig.write_origin_now({Chunk(100), 10}, 55).ok());
  rig.kill();
  const std::uint64_t exceptions = rig.check().counts.exceptions;
  if (damaged) rig.flip(rig.superblock().clients);
  const auto report = rig.repair(false, true);
  if (!report.ok()) FAIL(report.status().to_string());
  INFO(text_of(*report));
  CHECK(report->changed == damaged);
  CHECK_FALSE(report->deeds.empty());
  CHECK_FALSE(report->after.damaged());
  CHECK(report->after.counts.commits == 0);
  CHECK(report->after.counts.exceptions == exceptions);
  CHECK(rig.superblock().is_copy() != separate);
  if (separate) {
    CHECK(rig.read_everything().empty());
    return;
  }
  CHECK(rig.try_open().code() == Code::invalid);
  CHECK(rig.repair().status().code() == Code::invalid);
  CHECK(mentions(rig.check(), "copy of a store's metadata"));
  // Nothing in it brings back a superblock without the mark.
  CHECK(rig.repair(false, true).ok());
  CHECK(rig.superblock().is_copy());
}

TEST_CASE("A repair that is cut short by a power failure is finished by the next one") {
  const bool root = GENERATE(false, true);
  const bool flush = GENERATE(false, true);
  CheckRig rig;
  rig.open();
  REQUIRE(rig.create("late").ok());
  for (std::uint64_t c = 100; c < 110; ++c)
    REQUIRE(rig.write_origin_now({Chunk(c), 1}, 1000 + c).ok());
  rig.kill();
  rig.flip(root ? rig.superblock().tree_root : rig.leaf(8));
  const auto damaged = rig.store->clone();
  REQUIRE(rig.repair().ok());
  const auto wanted = rig.read_everything();
  CHECK(wanted.empty() == root);
  std::mt19937_64 rng(5);
  for (std::uint64_t n = 1;; ++n) {
    INFO("cut at " << (flush ? "flush " : "write ") << n);
    rig.store = damaged->clone();
    auto plan = std::make_shared<FaultPlan>();
    plan->cut_power(n, flush ? FaultPlan::flushes() : FaultPlan::writes(),
                    [&] { rig.store->crash(rng); });
    RepairOptions repair_options;
    repair_options.holder = "a test";
    {
      FaultDevice device(std::make_unique<MemoryDevice>(rig.store), plan);
      const auto report = repair_store(device, nullptr, repair_options);
      CHECK((report.ok() || plan->triggered() > 0));
    }
    if (plan->triggered() == 0) break;
    const auto report = rig.repair();
    if (!report.ok()) FAIL(report.status().to_string());
    INFO(text_of(*report));
    CHECK_FALSE(report->after.damaged());
    CHECK(rig.read_everything() == wanted);
  }
}

}  // namespace csnap
