// SPDX-License-Identifier: Apache-2.0
// The last commit of a crashed store counts only if its data is there. Whatever moment the crash
// came at, the store must be sound without that commit, too.
#include <catch2/catch.hpp>

#include "server/check.h"
#include "test/engine/rig.h"

namespace csnap {
namespace {

std::shared_ptr<MemoryVolume> only_label_of(const Rig& rig) {
  auto data = std::make_shared<MemoryVolume>("store", rig.store->size());
  const std::uint64_t label = kDataLabel.value * kBlockSize;
  data->poke(label, rig.store->bytes(label, kBlockSize));
  return data;
}

// What the checker finds when the data is gone.
std::string wrong_without(const std::shared_ptr<MemoryVolume>& data, const Rig& rig) {
  MemoryDevice store(data), metadata(rig.metadata);
  CheckOptions options;
  options.cache_bytes = 1u << 20;
  const auto report = check_store(store, &metadata, options);
  if (!report.ok()) return report.status().to_string();
  for (const Finding& finding : report->findings)
    if (finding.severity == Severity::damage) return to_string(finding);
  return {};
}

}  // namespace

TEST_CASE("A store is sound without the last commit, whenever the server died") {
  RigOptions options;
  options.separate_metadata = true;
  options.store_bytes = 64u << 20;
  options.origin_chunks = 3001;
  options.journal_bytes = 512u << 10;
  Rig rig(options);
  rig.open();
  const auto data = only_label_of(rig);
  REQUIRE(rig.write_origin_now({Chunk(0), options.origin_chunks}, 1).ok());
  REQUIRE(rig.create("monday").ok());
  // Each chunk once, scattered; a few every turn, then none until all is home.
  std::mt19937_64 random(1);
  std::uint64_t next = 0, waiting = 0;
  const auto write = [&] {
    ++waiting;
    rig.write_origin({Chunk(next++ * 1009 % options.origin_chunks), 1}, 2,
                     [&](const Status& status) {
                       --waiting;
                       REQUIRE(status.ok());
                     });
  };
  while (next < options.origin_chunks) {
    for (std::uint64_t turns = random() % 10; waiting > 0 || !rig.engine().idle(); --turns) {
      for (int i = 0; i < 3 && turns > 0 && next < options.origin_chunks; ++i) write();
      rig.turns(1);
      INFO("chunks asked for: " << next);
      REQUIRE(wrong_without(data, rig) == "");
      turns += turns == 0;
    }
    write();
  }
  rig.until_idle();
  CHECK(rig.engine().status().checkpoints > 3);
}

}  // namespace csnap
