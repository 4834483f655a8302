// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <optional>

#include "server/check.h"
#include "server/offline.h"
#include "store/fault_device.h"
#include "test/dump/dump_rig.h"

namespace csnap {
namespace {

RigOptions options_for(unsigned chunk_shift, bool separate, std::uint64_t seed = 1) {
  RigOptions options;
  options.chunk_shift = chunk_shift;
  options.separate_metadata = separate;
  options.seed = seed;
  options.origin_chunks = chunk_shift == 12 ? 1500 : 300;
  options.store_bytes = chunk_shift == 12 ? 32u << 20 : 96u << 20;
  return options;
}

std::string findings(DumpRig& rig, bool data) {
  MemoryDevice device(rig.store);
  std::unique_ptr<MemoryDevice> metadata;
  if (rig.metadata) metadata = std::make_unique<MemoryDevice>(rig.metadata);
  CheckOptions options;
  options.data = data;
  const auto report = check_store(device, metadata.get(), options);
  if (!report.ok()) return report.status().to_string();
  std::string text;
  for (const Finding& finding : report->findings) text += to_string(finding) + "\n";
  return text;
}

void restore_ok(DumpRig& rig, const std::string& text, std::size_t cache_bytes = 1u << 20) {
  const auto restored = rig.restore(text, cache_bytes);
  if (!restored.ok()) FAIL(restored.status().to_string());
}

// Of a stream that was cut off, and can be gone on with.
void leave_receiving(DumpRig& rig) {
  const Uuid session = Uuid::from_random(5, 5);
  std::optional<Result<ClientKey>> key;
  rig.engine().open_client(session, kOrigin, Engine::Access::receive,
                           [&](Result<ClientKey> opened) { key = std::move(opened); });
  rig.until([&] { return key.has_value(); });
  REQUIRE(key->ok());
  UnfinishedReceive receiving;
  receiving.name = "a";
  receiving.identity = {Uuid::from_random(1, 2), 77};
  receiving.path = "volume.img";
  receiving.offset = 4096;
  receiving.resumable = true;
  std::optional<Status> said;
  rig.engine().set_receiving(session, receiving, [&](const Status& status) { said = status; });
  rig.until([&] { return said.has_value(); });
  REQUIRE(said->ok());
  rig.engine().close_client(**key);
  rig.until_idle();
}

void round_trip(const RigOptions& options, unsigned writes) {
  INFO("seed " << options.seed << ", chunks of 2^" << options.chunk_shift << ", separate metadata "
               << options.separate_metadata);
  DumpRig rig(options);
  rig.make_history(writes);
  rig.close();
  REQUIRE(findings(rig, true) == "");
  const std::string before = rig.dump_text();
  rig.wipe_metadata();
  restore_ok(rig, before, options.cache_bytes);
  CHECK(findings(rig, true) == "");
  CHECK(comparable(rig.dump_text()) == comparable(before));
  rig.compare_all();
}

}  // namespace

TEST_CASE("A store whose metadata was wiped is had back from its dump") {
  for (const unsigned chunk_shift : {12u, 16u})
    for (const bool separate : {false, true})
      for (std::uint64_t seed = 1; seed <= 3; ++seed)
        round_trip(options_for(chunk_shift, separate, seed), chunk_shift == 12 ? 400 : 60);
}

TEST_CASE("A restore that is larger than journal and cache is done in many checkpoints") {
  RigOptions options = options_for(12, false);
  options.origin_chunks = 12000;
  options.store_bytes = 256u << 20;
  options.cache_bytes = 256u << 10;
  round_trip(options, 3000);
}

TEST_CASE("A restore needs no more flushes for a smaller journal") {
  RigOptions options = options_for(12, false);
  options.origin_chunks = 6000;
  options.store_bytes = 128u << 20;
  options.journal_bytes = kMinJournalBlocks * kBlockSize;
  DumpRig rig(options);
  rig.make_history(2000);
  rig.close();
  const std::string before = rig.dump_text();
  rig.wipe_metadata();
  const std::uint64_t flushes = rig.store->counters().flushes;
  restore_ok(rig, before, 16u << 20);
  CHECK(rig.store->counters().flushes - flushes < 50);
  rig.compare_all();
}

TEST_CASE("A store is dumped as it would be after recovery, and nothing is written to it") {
  DumpRig rig(options_for(12, false));
  rig.make_history(100, false);
  rig.kill();
  const std::string crashed = rig.dump_text();
  CHECK(crashed == rig.dump_text());
  rig.open();
  rig.until_idle();
  rig.close();
  const auto sessions = [](const std::string& line) { return line.starts_with("{\"session\""); };
  auto before = lines_of(comparable(crashed)), after = lines_of(comparable(rig.dump_text()));
  // Totals count sessions, and those are over.
  std::erase_if(before, sessions);
  std::erase_if(after, sessions);
  before.pop_back();
  after.pop_back();
  CHECK(before == after);
}

TEST_CASE("Sessions of a crashed store come back with their pools") {
  DumpRig rig(options_for(12, false));
  rig.make_history(100);
  rig.kill();
  const std::string before = rig.dump_text();
  REQUIRE(before.find("{\"session\"") != std::string::npos);
  rig.wipe_metadata();
  restore_ok(rig, before);
  CHECK(findings(rig, true) == "");
  CHECK(comparable(rig.dump_text()) == comparable(before));
  rig.compare_all();
}

TEST_CASE("A dump may be restored over a store that went on") {
  DumpRig rig(options_for(12, false));
  rig.make_history(100);
  rig.close();
  const std::string before = rig.dump_text();
  const auto epoch = rig.superblock().epoch;
  const auto old = rig.store->clone();
  rig.open();
  for (std::uint64_t c = 0; c < 200; ++c) REQUIRE(rig.write_origin_now({Chunk(c), 1}, c).ok());
  rig.kill();
  // The store of before, with the journal and the metadata of later.
  restore_ok(rig, before);
  CHECK(findings(rig, false) == "");
  CHECK(comparable(rig.dump_text()) == comparable(before));
  CHECK(rig.superblock().epoch > epoch);
  CHECK(rig.superblock().clean);
  CHECK(!rig.superblock().repairing);
}

TEST_CASE("What snapshots are known as is kept where nothing has happened since the dump") {
  DumpRig rig(options_for(12, false));
  rig.make_history(100);
  REQUIRE(rig.create("unwritten").ok());
  rig.close();
  const std::string before = rig.dump_text();
  const auto snapshots = [](const std::string& dump) {
    auto lines = lines_of(dump);
    std::erase_if(lines, [](const auto& line) { return !line.starts_with("{\"snapshot\""); });
    return lines;
  };
  REQUIRE(text_of(snapshots(before)).find("\"written\":false") != std::string::npos);
  const auto next = rig.superblock().next_snapshot;
  restore_ok(rig, before);
  CHECK(snapshots(rig.dump_text()) == snapshots(before));
  CHECK(rig.superblock().next_snapshot == next);
  // The restore itself was something.
  restore_ok(rig, before);
  CHECK(text_of(snapshots(rig.dump_text())).find("\"written\":false") == std::string::npos);
  const auto leapt = rig.superblock().next_snapshot.value;
  CHECK(leapt > next.value + 1000000);
  // Nor do two lives of one dump give the same ids, whatever is left of the first.
  restore_ok(rig, before);
  CHECK(rig.superblock().next_snapshot.value > leapt + 1000000);
  const std::uint64_t now = 1'700'000'000'000'000'000;
  for (std::uint64_t i = 0; i < 2; ++i) {
    rig.wipe_metadata();
    rig.wall_ns = now + i * 1'000'000'000;
    restore_ok(rig, before);
    CHECK(rig.superblock().next_snapshot.value == (1'700'000'000 + i) << 20);
  }
}

TEST_CASE("A receive is gone on with only where nothing has happened since the dump") {
  DumpRig rig(options_for(12, false));
  rig.open();
  leave_receiving(rig);
  rig.close();
  const std::string before = rig.dump_text();
  const auto resumable = [&] {
    const std::string dump = rig.dump_text();
    REQUIRE(dump.find("\"receiving\":{") != std::string::npos);
    return dump.find("\"resumable\":true") != std::string::npos;
  };
  REQUIRE(resumable());
  restore_ok(rig, before);
  CHECK(resumable());
  restore_ok(rig, before);
  CHECK_FALSE(resumable());
}

TEST_CASE("What is lost stays lost through a dump") {
  DumpRig rig(options_for(12, false));
  rig.make_history(50);
  rig.close();
  std::vector<ChunkRun> lost;
  {
    MemoryDevice device(rig.store);
    auto offline = OfflineStore::open(device, nullptr, 1u << 20, "a test");
    REQUIRE(offline.ok());
    StoreState& state = (*offline)->state();
    const ShareMask monday = mask_of_bit(0);
    for (std::uint64_t chunk = 0; chunk < 1500 && lost.size() < 3; ++chunk) {
      const ChunkRun run{Chunk(chunk), 1};
      Mapping mapping;
      REQUIRE(state.with_blocks([&] { return state.tree().lookup(run.start, 1, mapping); }).ok());
      if (mapping.shared & monday) continue;
      REQUIRE((*offline)
                  ->edit([&]() -> Status {
                    CSNAP_TRY(state.tree().prepare(run, ExceptionTree::Change::insert));
                    state.tree().insert(run, lost_store(run.start), monday);
                    return {};
                  })
                  .ok());
      lost.push_back(run);
    }
    REQUIRE((*offline)->finish().ok());
  }
  REQUIRE(lost.size() == 3);
  const std::string before = rig.dump_text();
  REQUIRE(before.find("\"lost\":true") != std::string::npos);
  REQUIRE(before.find("\"lost_chunks\":3}") != std::string::npos);
  rig.wipe_metadata();
  restore_ok(rig, before);
  CHECK(comparable(rig.dump_text()) == comparable(before));
  rig.open();
  for (const ChunkRun& run : lost) {
    Status told;
    bool done = false;
    rig.read_snapshot(SnapshotId(1), run, [&](const Status& status) {
      told = status;
      done = true;
    });
    rig.until([&] { return done; });
    CHECK(told.code() == Code::lost);
  }
}

TEST_CASE("A store whose repair was not finished is not dumped") {
  DumpRig rig(options_for(12, false));
  rig.make_history(10);
  rig.close();
  {
    MemoryDevice device(rig.store);
    REQUIRE(OfflineStore::open(device, nullptr, 1u << 20, "a test").ok());
  }
  CHECK(rig.dump().status().code() == Code::unavailable);
}

TEST_CASE("A restore cut off by a power cut says so, and can be done again") {
  RigOptions options = options_for(12, false);
  options.cache_bytes = 256u << 10;
  DumpRig rig(options);
  rig.make_history(400);
  rig.close();
  const std::string before = rig.dump_text();
  rig.wipe_metadata();
  const auto wiped = rig.store;
  unsigned repairing = 0, none = 0, clean = 0;
  bool whole = false;
  for (std::uint64_t n = 1; !whole; n += 1 + n / 16) {
    INFO("crash at I/O " << n);
    rig.store = wiped->clone();
    {
      auto faults = std::make_shared<FaultPlan>();
      std::mt19937_64 rng(n);
      faults->cut_power(n, FaultPlan::any(), [&] { rig.store->crash(rng); });
      FaultDevice device(std::make_unique<MemoryDevice>(rig.store), faults);
      TextInput input(before);
      RestoreOptions restore_options;
      restore_options.cache_bytes = options.cache_bytes;
      whole = restore_store(device, nullptr, input, restore_options).ok();
      CHECK(whole == (faults->triggered() == 0));
    }
    MemoryDevice device(rig.store);
    const auto superblock = read_superblock(device);
    if (!superblock.ok())
      ++none;
    else if (superblock->repairing)
      ++repairing;
    else
      ++clean;
    CHECK((!superblock.ok() || superblock->repairing ||
           comparable(rig.dump_text()) == comparable(before)));
    if (n % 5 != 0) continue;
    restore_ok(rig, before);
    CHECK(comparable(rig.dump_text()) == comparable(before));
  }
  CHECK(none > 0);
  CHECK(repairing > 10);
  CHECK(clean > 0);
}

}  // namespace csnap
