// SPDX-License-Identifier: Apache-2.0
// Every kind of damage to every kind of block: it is reported; nothing wrong is ever read, neither
// before repair nor after; and after repair everything can be read that is not reported lost.
#include "test/damage/damage.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <map>
#include <set>

#include "journal/journal.h"
#include "store/fault_device.h"
#include "test/check/check_rig.h"

namespace csnap {
namespace {

// A store with a history, and what of it lies where. Every cell of the table starts from here.
struct Specimen {
  Specimen(RigOptions options, bool is_unclean, bool history = true)
      : rig(options, history), unclean(is_unclean) {
    if (unclean) {
      // What is acknowledged is in the journal only.
      rig.open();
      std::mt19937_64 rng(7);
      for (int i = 0; i < 40; ++i)
        REQUIRE(rig.write_origin_now({Chunk(rng() % rig.options.origin_chunks), 1}, 7000 + i).ok());
      rig.kill();
    }
    if (history) survey();
  }

  // This is what every cell starts from.
  void survey() {
    origin = rig.origin->clone();
    store = rig.store->clone();
    if (rig.metadata) metadata = rig.metadata->clone();
    MemoryDevice device(rig.store);
    std::unique_ptr<MemoryDevice> metadata_device;
    if (rig.metadata) metadata_device = std::make_unique<MemoryDevice>(rig.metadata);
    auto found = StoreMap::of(device, metadata_device.get());
    INFO(found.status().to_string());
    REQUIRE(found.ok());
    map.emplace(std::move(*found));
  }

  // As it was before anything was damaged.
  void reset() {
    rig.origin = origin->clone();
    rig.store = store->clone();
    if (metadata) rig.metadata = metadata->clone();
    rig.faults = nullptr;
  }

  MemoryVolume& medium(Target target) {
    return rig.metadata && !StoreMap::on_store_device(target) ? *rig.metadata : *rig.store;
  }

  CheckRig rig;
  const bool unclean;  // the journal has to be replayed
  std::shared_ptr<MemoryVolume> origin, store, metadata;
  std::optional<StoreMap> map;
};

struct Cell {
  Damage damage;
  Target target;
  BlockAddress block, other;
  std::uint64_t bit = 0;
};

std::string to_string(const Cell& cell) {
  return std::string(name_of(cell.damage)) + " of " + name_of(cell.target) + " block " +
         std::to_string(cell.block.value) + " (and " + std::to_string(cell.other.value) +
         "), bit " + std::to_string(cell.bit);
}

// Chooses blocks; nullopt when the store does not have enough of the kind.
std::optional<Cell> choose(const Specimen& s, Damage damage, Target target, std::mt19937_64& rng) {
  const auto& blocks = s.map->blocks(target);
  const bool two = damage == Damage::swap || damage == Damage::duplicate;
  if (blocks.empty() || (two && blocks.size() < 2)) return std::nullopt;
  Cell cell{damage, target, blocks[rng() % blocks.size()], {}, rng()};
  cell.other = cell.block;
  while (two && cell.other == cell.block) cell.other = blocks[rng() % blocks.size()];
  return cell;
}

// false: it left every byte as it was (two blocks of the same content).
bool inflict(Specimen& s, const Cell& cell) {
  MemoryVolume& medium = s.medium(cell.target);
  const auto bytes = [&] {
    auto all = medium.bytes(cell.block.value * kBlockSize, kBlockSize);
    const auto more = medium.bytes(cell.other.value * kBlockSize, kBlockSize);
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const auto before = bytes();
  MemoryDevice device(cell.target == Target::data || cell.target == Target::data_label ||
                              !s.rig.metadata
                          ? s.rig.store
                          : s.rig.metadata);
  REQUIRE(damage_block(device, cell.damage, cell.block, cell.other, cell.bit).ok());
  if (cell.target == Target::superblocks && cell.damage != Damage::swap) {
    const BlockAddress twin = cell.block == kSuperblockA ? kSuperblockB : kSuperblockA;
    // duplicate: the first is written over the second already; damage that one's copy, too.
    const Damage same = cell.damage == Damage::duplicate ? Damage::zero : cell.damage;
    REQUIRE(damage_block(device, same, twin, twin, cell.bit).ok());
  }
  return bytes() != before;
}

// Reads what can be read of a damaged store through the engine. What is delivered must be right.
// Returns how many chunks of snapshots were refused; nullopt: the store as a whole.
std::optional<std::uint64_t> serve(CheckRig& rig) {
  if (!rig.try_open().ok()) return std::nullopt;
  std::uint64_t refused = 0;
  for (const auto& info : rig.engine().list())
    for (std::uint64_t c = 0; c < rig.options.origin_chunks; c += 3) {
      bool told = false;
      rig.read_snapshot(info.snapshot.id, {Chunk(c), 1}, [&](const Status& status) {
        refused += !status.ok();
        told = true;
      });
      rig.until([&] { return told; });
    }
  rig.kill();
  return refused;
}

bool finds(const CheckReport& report, Target target) {
  const auto area_of = [](Target t) -> std::set<CheckArea> {
    switch (t) {
      case Target::superblock_a:
      case Target::superblock_b:
      case Target::superblocks:
        return {CheckArea::superblock};
      case Target::data_label:
        return {CheckArea::data_label};
      case Target::snapshots:
        return {CheckArea::snapshots};
      case Target::clients:
        return {CheckArea::clients};
      case Target::bitmap:
        return {CheckArea::bitmap};
      case Target::checksums:
        return {CheckArea::checksums};
      case Target::commit:
      case Target::journal:
        return {CheckArea::journal};
      case Target::leaf:
      case Target::node:
      case Target::root:
        return {CheckArea::tree};
      case Target::data:
        return {CheckArea::data};
    }
    return {};
  };
  for (const Finding& finding : report.findings)
    if (finding.severity == Severity::damage && area_of(target).contains(finding.area)) return true;
  return false;
}

// The last commit of a journal may be torn: that is no damage, and nobody was told of it.
bool is_torn_end(const Specimen& s, const Cell& cell) {
  if (cell.target != Target::commit && cell.target != Target::journal) return false;
  const BlockAddress last = s.map->blocks(Target::commit).back();
  const auto& rest = s.map->blocks(Target::journal);
  return cell.block >= last ||
         (!rest.empty() && cell.target == Target::journal && cell.block > last);
}

struct Tally {
  std::uint64_t cells = 0, replaced = 0, lost = 0, refused = 0, closed = 0, given_up = 0;
};

void try_cell(Specimen& s, const Cell& cell, Tally& tally) {
  INFO(to_string(cell));
  s.reset();
  if (!inflict(s, cell) || is_torn_end(s, cell)) return;
  ++tally.cells;

  const bool journal = cell.target == Target::commit || cell.target == Target::journal;
  const bool data = cell.target == Target::data;
  if (cell.target == Target::superblocks) {
    // Nothing is known of the store any more; only whether that is said counts.
    MemoryDevice device(s.rig.store);
    const auto report = check_store(device, nullptr);
    CHECK((!report.ok() || report->damaged()));
  } else {
    const CheckReport report = s.rig.check(data);
    INFO("found:\n" << text_of(report));
    // What the journal holds the newest image of is not read from where it was damaged.
    const bool replaced = s.unclean && !journal && !report.damaged();
    CHECK((replaced || finds(report, cell.target)));
    if (replaced) ++tally.replaced;
  }

  // A server on the damaged store: an error, or the truth. (Its work must not meet the repair.)
  const auto store = s.rig.store->clone(), origin = s.rig.origin->clone();
  const auto metadata = s.rig.metadata ? s.rig.metadata->clone() : nullptr;
  const auto refused = serve(s.rig);
  CHECK(s.rig.mismatches() == 0);
  refused ? tally.refused += *refused : ++tally.closed;
  s.rig.store = store;
  s.rig.origin = origin;
  s.rig.metadata = metadata;

  const auto repaired = s.rig.repair(data);
  if (!repaired.ok()) {
    // Without any superblock there may be nothing to begin with; then it says so.
    INFO(repaired.status().to_string());
    CHECK(cell.target == Target::superblocks);
    ++tally.given_up;
    return;
  }
  INFO("after:\n" << text_of(repaired->after));
  CHECK_FALSE(repaired->after.damaged());
  CHECK(s.rig.check(true).damaged() == false);
  if (journal) return;  // what an unreadable commit held nobody knows: see journal_test below
  std::uint64_t lost = 0;
  for (const auto& [id, chunks] : s.rig.read_everything()) {
    lost += chunks.size();
    for (const std::uint64_t chunk : chunks) {
      bool named = false;
      for (const LostRange& range : repaired->lost) named |= range.chunks.contains(Chunk(chunk));
      CHECK(named);
    }
  }
  // Only leaves and data hold what is nowhere else; a journal may need a tree that is not there.
  const bool may_lose =
      cell.target == Target::leaf || data || (s.unclean && cell.target == Target::root);
  if (!may_lose) CHECK(lost == 0);
  CHECK(lost < s.rig.options.origin_chunks * 3 / 2);
  tally.lost += lost;
}

RigOptions with_levels(bool separate) {
  RigOptions options = CheckRig::default_options();
  options.separate_metadata = separate;
  options.journal_bytes = 1u << 20;
  return options;
}

void try_table(Specimen& s, const std::vector<Target>& targets, int times) {
  for (const Target target : targets) {
    Tally tally;
    for (const Damage damage : kDamages)
      for (int i = 0; i < times; ++i) {
        std::mt19937_64 rng(static_cast<std::uint64_t>(i) * 100 +
                            static_cast<std::uint64_t>(damage) * 10 + 3);
        const auto cell = choose(s, damage, target, rng);
        if (cell) try_cell(s, *cell, tally);
      }
    const auto n = [](std::uint64_t number) { return static_cast<unsigned long long>(number); };
    std::printf(
        "  %-12s %3llu damaged, %llu replaced by the journal, %llu times no server started, "
        "%llu reads refused, %llu chunks lost, %llu given up\n",
        name_of(target), n(tally.cells), n(tally.replaced), n(tally.closed), n(tally.refused),
        n(tally.lost), n(tally.given_up));
    CHECK(tally.cells > 0);
  }
}

}  // namespace

TEST_CASE("Every damage to every kind of block is reported, and repaired as far as can be") {
  Specimen s(with_levels(false), false);
  try_table(s,
            {Target::superblock_a, Target::superblock_b, Target::superblocks, Target::snapshots,
             Target::clients, Target::bitmap, Target::checksums, Target::leaf, Target::root,
             Target::data},
            4);
}

TEST_CASE("The same with metadata on a device of its own") {
  Specimen s(with_levels(true), false);
  try_table(s,
            {Target::superblock_a, Target::data_label, Target::snapshots, Target::bitmap,
             Target::checksums, Target::leaf, Target::root, Target::data},
            3);
}

TEST_CASE("The same with a journal that has to be replayed") {
  Specimen s(with_levels(false), true);
  try_table(s,
            {Target::superblock_a, Target::snapshots, Target::bitmap, Target::leaf, Target::root,
             Target::commit},
            4);
}

TEST_CASE("Nodes between the root and the leaves are made anew from what lies below", "[slow]") {
  RigOptions options = CheckRig::default_options();
  options.origin_chunks = 118000;
  options.store_bytes = 256u << 20;
  options.journal_bytes = 8u << 20;
  options.cache_bytes = 16u << 20;
  Specimen s(options, false, false);
  s.rig.open();
  REQUIRE(s.rig.create("monday").ok());
  // Chunks that are no neighbours do not merge.
  for (std::uint64_t c = 0; c < options.origin_chunks; c += 2)
    REQUIRE(s.rig.write_origin_now({Chunk(c), 1}, c).ok());
  s.rig.close();
  s.survey();
  REQUIRE(s.rig.superblock().tree_levels == 3);
  REQUIRE(s.map->blocks(Target::node).size() >= 2);
  try_table(s, {Target::node, Target::root}, 1);
}

TEST_CASE("Blocks that cannot be read are reported where they are") {
  Specimen s(with_levels(false), false);
  for (const Target target :
       {Target::superblock_a, Target::snapshots, Target::clients, Target::bitmap, Target::checksums,
        Target::leaf, Target::root, Target::data}) {
    std::mt19937_64 rng(5);
    const auto cell = choose(s, Damage::flip, target, rng);
    REQUIRE(cell);
    INFO(to_string(*cell));
    s.reset();
    auto plan = std::make_shared<FaultPlan>();
    const std::uint64_t at = cell->block.value * kBlockSize;
    plan->fail(1, {.kind = IoKind::read, .from = at, .to = at + kBlockSize}, Often::for_ever);
    {
      FaultDevice device(std::make_unique<MemoryDevice>(s.rig.store), plan);
      CheckOptions options;
      options.data = true;
      const auto report = check_store(device, nullptr, options);
      INFO(report.status().to_string());
      REQUIRE(report.ok());
      INFO(text_of(*report));
      CHECK(finds(*report, target));
    }
    s.rig.faults = plan;
    static_cast<void>(serve(s.rig));
    CHECK(s.rig.mismatches() == 0);
  }
}

}  // namespace csnap
