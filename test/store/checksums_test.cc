// SPDX-License-Identifier: Apache-2.0
#include "store/checksums.h"

#include "store/crc.h"

#include <map>
#include <numeric>
#include <random>

#include "test/store/store_fixture.h"

using namespace csnap;

namespace {

struct Fixture : StoreFixture {
  Fixture() : StoreFixture(512 << 20, kMinChunkShift, 64), table(*cache, superblock) {}

  std::uint32_t get(StoreChunk chunk) {
    const auto crc = with_reads([&] { return table.get(chunk); });
    REQUIRE(crc.ok());
    return *crc;
  }
  Code prepare(StoreRun run) {
    return with_reads([&] { return table.prepare(run); }).code();
  }
  void set(StoreRun run, std::uint32_t first) {
    std::vector<std::uint32_t> crcs(run.count);
    std::iota(crcs.begin(), crcs.end(), first);
    REQUIRE(prepare(run) == Code::ok);
    table.set(run, crcs);
  }

  ChecksumTable table;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a chunk never written has no checksum, and asking makes no block") {
  CHECK(get(superblock.first_chunk()) == 0);
  CHECK(get(StoreChunk(superblock.store_chunks() - 1)) == 0);
  CHECK(superblock.checksums_ready == 0);
  CHECK(misses == 0);
}

TEST_CASE_METHOD(Fixture, "checksums are kept for each chunk of a run, also across blocks") {
  const StoreRun run{superblock.first_chunk() + 1000, 20};
  set(run, 77);
  for (std::uint64_t i = 0; i < 20; ++i) CHECK(get(run.start + i) == 77 + i);
  CHECK(get(run.start - 1) == 0);
  CHECK(get(run.end()) == 0);
  CHECK(superblock.checksums_ready == 2);
  table.clear({run.start + 5, 10});
  CHECK(get(run.start + 4) == 81);
  CHECK(get(run.start + 5) == 0);
  CHECK(get(run.start + 15) == 92);
}

TEST_CASE_METHOD(Fixture, "chunks that cannot hold data have no place in the table") {
  const StoreChunk end{superblock.store_chunks()};
  CHECK(prepare({superblock.first_chunk() - 1, 1}) == Code::corrupt);
  CHECK(prepare({end - 1, 2}) == Code::corrupt);
  CHECK(prepare({end - 1, ~0ULL}) == Code::corrupt);
  CHECK(table.get(end).status().code() == Code::corrupt);
}

TEST_CASE("the table of a large store begins at its first data chunk") {
  StoreFixture f(1ULL << 40);
  REQUIRE(f.superblock.first_chunk().value > 100 * kChecksumsPerBlock);
  ChecksumTable table(*f.cache, f.superblock);
  REQUIRE(table.prepare({f.superblock.first_chunk(), 1}).ok());
  CHECK(f.superblock.checksums_ready == 1);
  CHECK(table.prepare({StoreChunk(f.superblock.store_chunks() - 1), 1}).code() == Code::corrupt);
}

TEST_CASE("a checksum of zero is stored as one") {
  CHECK(stored_checksum(0) == 1);
  CHECK(stored_checksum(1) == 1);
  CHECK(stored_checksum(0xffffffff) == 0xffffffff);
}

TEST_CASE_METHOD(Fixture, "the table agrees with a map under random events and evictions") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  std::map<std::uint64_t, std::uint32_t> twin;
  const std::uint64_t first = superblock.first_chunk().value;
  const std::uint64_t chunks = superblock.store_chunks() - first;
  for (int i = 0; i < 3000; ++i) {
    const StoreRun run{StoreChunk(first + rng() % chunks), 1 + rng() % 300};
    if (run.end().value > superblock.store_chunks()) continue;
    if (rng() % 3 != 0) {
      const auto crc = static_cast<std::uint32_t>(1 + rng() % 1000000);
      set(run, crc);
      for (std::uint64_t k = 0; k < run.count; ++k)
        twin[run.start.value + k] = crc + static_cast<std::uint32_t>(k);
    } else {
      REQUIRE(prepare(run) == Code::ok);
      table.clear(run);
      for (std::uint64_t k = 0; k < run.count; ++k) twin.erase(run.start.value + k);
    }
    if (i % 20 == 0) checkpoint();
    const std::uint64_t probe = first + rng() % chunks;
    const auto expected = twin.find(probe);
    REQUIRE(get(StoreChunk(probe)) == (expected == twin.end() ? 0 : expected->second));
  }
  CHECK(misses > 0);
}
