// SPDX-License-Identifier: Apache-2.0
// Whatever blocks are damaged: after repair the store is clean, what can be read is right, and what
// is lost was named.
#include <catch2/catch.hpp>

#include "server/metadata_blocks.h"
#include "test/check/check_rig.h"

namespace csnap {
namespace {

// What may be damaged without anybody's writes being lost: all but the journal, and the snapshot
// table, whose entries the model knows by their ids.
std::vector<BlockAddress> victims(CheckRig& rig) {
  MemoryDevice device(rig.store);
  std::unique_ptr<MemoryDevice> metadata;
  if (rig.metadata) metadata = std::make_unique<MemoryDevice>(rig.metadata);
  const auto runs = metadata_blocks(device, metadata ? *metadata : device);
  REQUIRE(runs.ok());
  const Superblock s = rig.superblock();
  std::vector<BlockAddress> out;
  for (const BlockRun& run : *runs)
    for (BlockAddress block = run.start; block < run.end(); ++block) {
      const bool journal = block >= s.journal && block < s.journal + s.journal_blocks;
      const bool names = block >= s.snapshots && block < s.snapshots + s.snapshot_blocks;
      if (!journal && !names) out.push_back(block);
    }
  return out;
}

}  // namespace

TEST_CASE("Random damage is repaired, and never read as good") {
  const bool separate = GENERATE(false, true);
  const bool unclean = GENERATE(false, true);
  RigOptions options = CheckRig::default_options();
  options.origin_chunks = 700;
  options.separate_metadata = separate;
  CheckRig rig(options);
  if (unclean) {
    rig.open();
    REQUIRE(rig.create("late").ok());
    for (std::uint64_t c = 0; c < 40; ++c)
      REQUIRE(rig.write_origin_now({Chunk(c * 13), 1}, 1000 + c).ok());
    REQUIRE(
        rig.write_snapshot_now(rig.engine().list()[0].snapshot.id, {Chunk(30), 4}, 9, true).ok());
    REQUIRE(rig.remove("tuesday").ok());
    rig.kill();
  }
  const auto blocks = victims(rig);
  const auto store = rig.store->clone();
  const auto metadata = rig.metadata ? rig.metadata->clone() : nullptr;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 rng(seed);
    INFO("seed " << seed << ", metadata of its own " << separate << ", unclean " << unclean);
    rig.store = store->clone();
    if (metadata) rig.metadata = metadata->clone();
    std::string damaged;
    for (std::uint64_t n = 1 + rng() % 4; n > 0; --n) {
      const BlockAddress block = blocks[rng() % blocks.size()];
      rig.flip(block, 64 + rng() % 4000);
      damaged += " " + std::to_string(block.value);
    }
    INFO("blocks" << damaged);
    const auto report = rig.repair();
    if (!report.ok()) FAIL(report.status().to_string());
    INFO(text_of(report->before));
    INFO(text_of(report->after));
    CHECK(report->after.complete);
    CHECK(report->after.findings.size() == report->after.number_of(Severity::note));
    CHECK(rig.check_store() == "");
    const auto again = rig.repair();
    REQUIRE(again.ok());
    CHECK_FALSE(again->changed);
    for (const auto& [id, chunks] : rig.read_everything())
      for (const std::uint64_t chunk : chunks) {
        bool named = false;
        for (const LostRange& range : report->lost) named |= range.chunks.contains(Chunk(chunk));
        CHECK(named);
      }
  }
}

}  // namespace csnap
