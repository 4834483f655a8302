// SPDX-License-Identifier: Apache-2.0
// An old store to begin with: snapshots whose exceptions lie scattered, so that the tree has many
// leaves, which come and go as snapshots do. Made by an engine alone, on disks that do not fail.
#include <utility>

#include "test/sim/world.h"

namespace csnap::sim {
namespace {

class Ager : public EngineEvents {
 public:
  void take(std::unique_ptr<Engine> engine) { engine_ = std::move(engine); }
  Engine& engine() { return *engine_; }

  void barrier_begin(ClientKey client, std::uint64_t barrier) override {
    owed_.emplace_back(client, barrier);
  }
  void barrier_end(ClientKey, std::uint64_t) override {}
  void evict(ClientKey, const std::string&) override {}
  void copy(ClientKey, const CopyOrder&) override {}
  void log(Level, const std::string&) override {}

  // false: nothing comes of it.
  template <class Condition>
  bool until(Condition condition) {
    for (int turn = 0; turn < 100'000 && !condition(); ++turn) {
      for (const auto& [client, barrier] : std::exchange(owed_, {}))
        engine_->barrier_done(client, barrier);
      engine_->tick(1, 1);
      engine_->poll();
    }
    return condition();
  }

 private:
  std::unique_ptr<Engine> engine_;
  std::vector<std::pair<ClientKey, std::uint64_t>> owed_;
};

}  // namespace

void World::age() {
  Ager ager;
  EngineDevices devices;
  devices.origin = std::make_unique<MemoryDevice>(origin->volume());
  devices.store = std::make_unique<MemoryDevice>(store->volume());
  if (metadata) devices.metadata = std::make_unique<MemoryDevice>(metadata->volume());
  auto opened = Engine::open(std::move(devices), EngineOptions(), ager);
  if (!opened.ok()) return fail("aging: " + opened.status().to_string());
  ager.take(std::move(opened).value());
  Engine& engine = ager.engine();
  ClientKey client = 0;
  engine.open_client(Uuid::from_random(seed_, 5), kOrigin, Engine::Access::write,
                     [&](Result<ClientKey> key) {
                       if (key.ok()) client = *key;
                     });
  if (!ager.until([&] { return client != 0; })) return fail("aging: no session");
  for (std::uint64_t i = 1; i <= profile.old_snapshots; ++i) {
    const std::string name = "old" + std::to_string(i);
    SnapshotId made;
    bool full = false;
    engine.create_snapshot(name, std::nullopt, [&](Result<Snapshot> s) {
      if (s.ok()) made = s->id;
      full = s.status().code() == Code::no_space;
    });
    if (!ager.until([&] { return made != kOrigin || full; })) return fail("aging: no snapshot");
    if (full) break;
    model.capture(made);
    snapshots_[made] = {made, {name}, true, false, false, false, scheduler.now()};
    Status written;
    std::uint64_t c = random.below(3);
    while (written.ok() && c < profile.origin_chunks) {
      // A few at a time, until it is full to the last.
      std::vector<ChunkRun> runs;
      for (; runs.size() < 8 && c < profile.origin_chunks; c += random.between(2, 4))
        runs.push_back({Chunk(c), 1});
      written = Status(Code::internal, "no answer");
      engine.origin_write(client, runs, [&](const Status& status) { written = status; });
      if (!ager.until([&] { return written.code() != Code::internal; }))
        return fail("aging: no answer");
      if (written.ok()) write_at_once(runs);
    }
    if (!written.ok()) break;
  }
  const Status closed = engine.close();
  if (!closed.ok()) fail("aging: " + closed.to_string());
}

// A write of the origin that is done and durable.
void World::write_at_once(const std::vector<ChunkRun>& runs) {
  std::vector<std::byte> unit(kUnit);
  const std::uint64_t per_chunk = (1ULL << profile.chunk_shift) / kUnit;
  for (const ChunkRun& run : runs) {
    const UnitRun units{run.start.value * per_chunk, per_chunk};
    const auto write = model.begin_write(kOrigin, units);
    for (std::uint64_t u = units.start; u < units.end(); ++u) {
      Model::fill(unit, Model::tag(write, u));
      origin->medium().poke(u * kUnit, unit);
    }
    model.end_write(write, Model::Durability::by_flush, 1);
  }
}

}  // namespace csnap::sim
