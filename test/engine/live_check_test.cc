// SPDX-License-Identifier: Apache-2.0
// The check of a store that serves.
#include <catch2/catch.hpp>

#include "btree/check.h"
#include "server/recovery.h"
#include "test/engine/rig.h"

namespace csnap {
namespace {

struct Outcome {
  std::vector<LiveFinding> findings;
  LiveCheck::Counters counters;
  std::uint64_t damages() const {
    std::uint64_t n = 0;
    for (const auto& f : findings) n += f.damage;
    return n;
  }
};

std::string text(const Outcome& outcome) {
  std::string all;
  for (const auto& f : outcome.findings) all += f.what + "\n";
  return all;
}

// Runs a whole check; between its steps whatever `meanwhile` does.
Outcome check(
    Rig& rig, bool data, const std::function<void()>& meanwhile = [] {}) {
  Outcome outcome;
  Engine::CheckRequest request{true, 0, data};
  for (bool done = false; !done;) {
    std::optional<Result<Engine::CheckPage>> page;
    rig.engine().check(request, [&](Result<Engine::CheckPage> p) { page.emplace(std::move(p)); });
    rig.until([&] { return page.has_value(); });
    INFO(page->status().to_string());
    REQUIRE(page->ok());
    for (auto& f : (*page)->findings) outcome.findings.push_back(f);
    outcome.counters = (*page)->counters;
    done = (*page)->done;
    request = {false, (*page)->id, false};
    meanwhile();
  }
  return outcome;
}

void corrupt(MemoryVolume& volume, std::uint64_t offset) {
  std::byte byte;
  volume.peek(offset, {&byte, 1});
  byte ^= std::byte{4};
  volume.poke(offset, {&byte, 1});
}

// Where the tree's blocks are.
std::vector<BlockAddress> tree_blocks(Rig& rig) {
  MemoryDevice device(rig.store);
  auto recovered = recover(device, device, 8u << 20);
  REQUIRE(recovered.ok());
  std::vector<BlockAddress> blocks;
  TreeWalk walk;
  walk.read = read_through(recovered->state->cache());
  walk.on_block = [&](BlockAddress block, BlockKind kind) {
    if (kind == BlockKind::leaf) blocks.push_back(block);
  };
  REQUIRE(check_tree(recovered->state->superblock(), walk).sound());
  return blocks;
}

RigOptions many_leaves() {
  RigOptions options;
  options.origin_chunks = 4096;
  options.store_bytes = 64u << 20;
  return options;
}

// Exceptions that do not merge.
void spread(Rig& rig) {
  rig.open();
  REQUIRE(rig.write_origin_now({Chunk(0), 4096}, 1).ok());
  REQUIRE(rig.create("monday").ok());
  std::mt19937_64 rng(5);
  for (int i = 0; i < 1500; ++i) REQUIRE(rig.write_origin_now({Chunk(rng() % 4096), 1}, 2).ok());
  rig.until_idle();
}

}  // namespace

TEST_CASE("A sound store is found sound while it serves and changes") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 9));
  INFO("seed " << seed);
  RigOptions options = many_leaves();
  options.seed = seed;
  options.separate_metadata = seed % 4 == 3;
  Rig rig(options);
  spread(rig);
  std::mt19937_64 rng(seed);
  int snapshots = 0;
  const Outcome outcome = check(rig, seed % 2 == 0, [&] {
    for (int i = 0; i < 40; ++i) REQUIRE(rig.write_origin_now({Chunk(rng() % 4096), 1}, 3).ok());
    if (rng() % 3 == 0) REQUIRE(rig.create("s" + std::to_string(++snapshots)).ok());
    if (rng() % 5 == 0 && snapshots > 1) {
      REQUIRE(rig.remove("s" + std::to_string(snapshots)).ok());
      --snapshots;
    }
  });
  INFO(text(outcome));
  CHECK(outcome.findings.empty());
  CHECK(outcome.counters.exceptions > 1000);
  CHECK(outcome.counters.blocks > 5);
  CHECK(rig.mismatches() == 0);
}

TEST_CASE("Rot in metadata that the cache still hides is found") {
  Rig rig(many_leaves());
  spread(rig);
  rig.close();
  rig.open();
  const auto leaves = tree_blocks(rig);
  REQUIRE(leaves.size() > 3);
  rig.check_all();  // everything is in memory now
  corrupt(*rig.store, leaves[1].value * kBlockSize + 1000);
  const Outcome outcome = check(rig, false);
  INFO(text(outcome));
  REQUIRE(outcome.damages() == 1);
  CHECK(outcome.findings[0].what.find("leaf block " + std::to_string(leaves[1].value)) !=
        std::string::npos);
}

TEST_CASE("A leaf that cannot be read is told with the chunks and snapshots it concerns") {
  Rig rig(many_leaves());
  spread(rig);
  rig.close();
  const auto leaves = tree_blocks(rig);
  corrupt(*rig.store, leaves[1].value * kBlockSize + 1000);
  rig.open();
  const Outcome outcome = check(rig, false);
  INFO(text(outcome));
  REQUIRE(outcome.damages() == 1);
  const LiveFinding& found = outcome.findings[0];
  CHECK(found.mask == 1);
  CHECK(found.chunks.count > 0);
  CHECK(found.chunks.count < 4096);
}

TEST_CASE("Rotten data is told with its chunk and the snapshots it concerns") {
  Rig rig(many_leaves());
  spread(rig);
  StoreChunk place;
  Chunk chunk;
  rig.engine().dump(Chunk(700), 1, [&](const Result<Engine::DumpPage>& page) {
    place = page->lines.at(0).store;
    chunk = page->lines.at(0).chunks.start;
  });
  rig.until([&] { return place.value != 0; });
  corrupt(*rig.store, place.value * 4096 + 77);
  CHECK(check(rig, false).findings.empty());
  const Outcome outcome = check(rig, true);
  INFO(text(outcome));
  REQUIRE(outcome.damages() == 1);
  CHECK(outcome.findings[0].chunks == ChunkRun{chunk, 1});
  CHECK(outcome.findings[0].mask == 1);
}

TEST_CASE("A damaged bitmap or checksum block is told once, and nothing else because of it") {
  Rig rig(many_leaves());
  spread(rig);
  rig.close();
  MemoryDevice device(rig.store);
  const auto superblock = read_superblock(device);
  REQUIRE(superblock.ok());
  const bool bitmap = GENERATE(true, false);
  const BlockAddress bad = bitmap ? superblock->data.bitmap : superblock->checksums;
  corrupt(*rig.store, bad.value * kBlockSize + 1000);
  rig.open();
  const Outcome outcome = check(rig, true);
  INFO(text(outcome));
  REQUIRE(outcome.findings.size() == 1);
  CHECK(outcome.findings[0].what.find("block " + std::to_string(bad.value)) != std::string::npos);
  CHECK(outcome.counters.exceptions > 1000);
}

TEST_CASE("A check that nobody asks for any more is given up, and one at a time is made") {
  Rig rig(many_leaves());
  spread(rig);
  std::uint64_t first = 0, second = 0;
  const auto begin = [&](std::uint64_t& id) {
    rig.engine().check({true, 0, false}, [&](const Result<Engine::CheckPage>& p) { id = p->id; });
    rig.until([&] { return id != 0; });
  };
  const auto next = [&](std::uint64_t id) {
    std::optional<Status> outcome;
    rig.engine().check({false, id, false},
                       [&](const Result<Engine::CheckPage>& p) { outcome = p.status(); });
    rig.until([&] { return outcome.has_value(); });
    return *outcome;
  };
  begin(first);
  begin(second);
  CHECK(next(first).code() == Code::stale);
}

}  // namespace csnap
