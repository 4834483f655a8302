// SPDX-License-Identifier: Apache-2.0
// The engine against a model that holds every volume's content, under random requests, restarts,
// kills and power cuts, on stores so small that every rare path is walked.
#include <catch2/catch.hpp>

#include "test/engine/rig.h"

namespace csnap {
namespace {

struct World {
  explicit World(RigOptions options) : rig(options), rng(options.seed * 7919 + 1) { rig.open(); }

  std::uint64_t pick(std::uint64_t n) { return rng() % n; }
  ChunkRun any_run() {
    const std::uint64_t start = pick(rig.options.origin_chunks);
    const std::uint64_t most = std::min<std::uint64_t>(rig.options.origin_chunks - start, 40);
    return {Chunk(start), 1 + pick(pick(3) == 0 ? most : std::min<std::uint64_t>(most, 3))};
  }
  SnapshotId any_snapshot() {
    auto it = rig.model().begin();
    std::advance(it, 1 + pick(rig.model().size() - 1));
    return it->first;
  }
  bool has_snapshot() const { return const_cast<World*>(this)->rig.model().size() > 1; }

  // A batch of requests in flight at once. No two touch the same chunks of one volume. With
  // `turns`, the server is killed after so many, or the power fails.
  void batch(std::optional<std::uint64_t> turns = std::nullopt) {
    std::map<SnapshotId, std::vector<ChunkRun>> taken;
    const auto left = std::make_shared<std::uint64_t>(0);
    std::uint64_t& waiting = *left;
    const std::uint64_t size = 1 + pick(12);
    for (std::uint64_t i = 0; i < size; ++i) {
      const ChunkRun run = any_run();
      const SnapshotId volume = has_snapshot() && pick(3) != 0 ? any_snapshot() : kOrigin;
      auto& runs = taken[volume];
      if (std::any_of(runs.begin(), runs.end(), [&](const auto& r) { return r.overlaps(run); }))
        continue;
      runs.push_back(run);
      ++waiting;
      const auto told = [this, left](const Status& status) {
        --*left;
        if (status.ok()) return;
        INFO(status.to_string());
        // Deleted under a request's feet, in a batch that a crash cuts short.
        REQUIRE((status.code() == Code::no_space || (cutting && status.code() == Code::stale)));
        ++refused;
      };
      if (volume == kOrigin)
        rig.write_origin(run, next_tag++, told);
      else if (pick(3) == 0)
        rig.read_snapshot(volume, run, told);
      else
        rig.write_snapshot(volume, run, next_tag++, pick(2) == 0, told);
    }
    if (!turns) return rig.until([&] { return waiting == 0; });
    cutting = true;
    if (pick(3) == 0) rig.start_create("s" + std::to_string(next_name++));
    if (has_snapshot() && pick(3) == 0) rig.start_remove(name_of(any_snapshot()));
    rig.turns(*turns);
    cutting = false;
    pick(2) == 0 ? rig.kill() : rig.power_cut();
    REQUIRE(rig.check_store() == "");
    rig.open();
    rig.check_all();
  }

  std::string name_of(SnapshotId id) {
    for (const auto& info : rig.engine().list())
      if (info.snapshot.id == id) return info.snapshot.name;
    return {};
  }

  void administrate() {
    if (pick(2) == 0 && rig.model().size() < 12) {
      const auto made = rig.create("s" + std::to_string(next_name));
      REQUIRE((made.ok() || made.status().code() == Code::no_space));
      ++next_name;
    } else if (has_snapshot()) {
      REQUIRE(rig.remove(name_of(any_snapshot())).ok());
    }
  }

  Rig rig;
  std::mt19937_64 rng;
  std::uint64_t next_tag = 1, next_name = 1, refused = 0;
  bool cutting = false;
};

void live_through(RigOptions options, int steps) {
  INFO("seed " << options.seed);
  World world(options);
  for (int step = 0; step < steps; ++step) {
    INFO("step " << step);
    const std::uint64_t what = world.pick(100);
    if (what < 70) {
      world.batch();
    } else if (what < 80) {
      world.batch(world.pick(14));
    } else if (what < 90) {
      world.administrate();
    } else {
      if (what < 93) {
        world.rig.close();
      } else if (what < 96) {
        world.rig.kill();
      } else {
        world.rig.power_cut();
      }
      REQUIRE(world.rig.check_store() == "");
      world.rig.open();
    }
    if (step % 16 == 0) world.rig.check_all();
    REQUIRE(world.rig.mismatches() == 0);
  }
  world.rig.check_all();
  REQUIRE(world.rig.mismatches() == 0);
  world.rig.until_idle();
  world.rig.close();
  REQUIRE(world.rig.check_store() == "");
}

}  // namespace

TEST_CASE("Every volume equals the model after random requests, restarts and power cuts") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 21));
  RigOptions options;
  options.seed = seed;
  live_through(options, 150);
}

TEST_CASE("A store that is nearly always full harms nothing that was acknowledged") {
  const auto seed = GENERATE(range<std::uint64_t>(100, 110));
  RigOptions options;
  options.seed = seed;
  options.store_bytes = 4u << 20;
  options.origin_chunks = 400;
  live_through(options, 200);
}

TEST_CASE("Chunks larger than blocks are shared as well") {
  const auto seed = GENERATE(range<std::uint64_t>(200, 206));
  RigOptions options;
  options.seed = seed;
  options.chunk_shift = 16;
  options.origin_chunks = 64;
  options.store_bytes = 48u << 20;
  live_through(options, 60);
}

TEST_CASE("Metadata may live on a device of its own") {
  const auto seed = GENERATE(range<std::uint64_t>(300, 306));
  RigOptions options;
  options.seed = seed;
  options.separate_metadata = true;
  live_through(options, 120);
}

TEST_CASE("Clients may make the copies") {
  const auto seed = GENERATE(range<std::uint64_t>(400, 412));
  RigOptions options;
  options.seed = seed;
  options.client_copies = true;
  options.separate_metadata = seed % 2 == 0;
  if (seed % 3 == 0) options.store_bytes = 4u << 20;
  live_through(options, 120);
}

}  // namespace csnap
