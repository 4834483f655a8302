// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <sstream>

#include "store/superblock.h"
#include "tools/common/handle.h"
#include "tools/rmap/bad_sectors.h"
#include "tools/rmap/reverse_map.h"
#include "tools/rmap/run.h"

namespace csnap {
namespace {

// A store in memory: the map of it, chunk by chunk, is the naive twin.
class FakeStore : public RmapSource {
 public:
  explicit FakeStore(RmapGeometry geometry) : geometry_(geometry) {}

  std::vector<Placed> placed;
  std::vector<StoreArea> areas;  // all blocks
  unsigned scans = 0;

  Status scan(const Visit& visit) override {
    ++scans;
    for (const Placed& each : placed) visit(each);
    return {};
  }
  Result<StoreArea> area_at(std::uint64_t block) override {
    for (const StoreArea& area : areas)
      if (block < area.end()) return StoreArea{block, area.end() - block, area.use};
    return Status(Code::out_of_range, "beyond");
  }

  // What chunk c is, one chunk alone.
  RmapLine at(std::uint64_t c) {
    const std::uint64_t per = geometry_.blocks_per_chunk();
    RmapLine line{{StoreChunk(c), 1}, 0, {}, 0};
    for (const Placed& each : placed) {
      if (each.use == StoreUse::data) {
        const std::uint64_t start = each.block / per;
        if (c < start || c >= start + each.count) continue;
        return {{StoreChunk(c), 1}, bit_of(StoreUse::data), each.chunk + (c - start), each.mask};
      }
      if (each.block / per == c) line.uses |= bit_of(each.use);
    }
    if (line.uses != 0) return line;
    for (std::uint64_t b = c * per; b < (c + 1) * per; ++b) line.uses |= bit_of(area_at(b)->use);
    if (line.uses == bit_of(StoreUse::used)) line.uses = bit_of(StoreUse::not_seen);
    return line;
  }

 private:
  RmapGeometry geometry_;
};

std::vector<RmapLine> map_of(RmapSource& source, const RmapGeometry& geometry, StoreRun range,
                             std::size_t entries = kRmapEntries) {
  std::vector<RmapLine> lines;
  REQUIRE(reverse_map(
              source, geometry, range,
              [&](const RmapLine& line) {
                lines.push_back(line);
                return Status();
              },
              entries)
              .ok());
  return lines;
}

// Data, blocks of the tree, free and used space, at random; in an order that is not the store's.
void fill_randomly(FakeStore& store, const RmapGeometry& geometry, std::mt19937_64& random) {
  const std::uint64_t per = geometry.blocks_per_chunk();
  store.areas = {{0, 1, StoreUse::superblock}, {1, per * 2 - 1, StoreUse::journal}};
  for (std::uint64_t c = 2; c < geometry.store_chunks;) {
    const std::uint64_t count =
        std::min<std::uint64_t>(geometry.store_chunks - c, 1 + random() % 5);
    const unsigned kind = random() % 8;
    const StoreUse use = kind < 6 ? StoreUse::used : kind == 6 ? StoreUse::free : StoreUse::pool;
    store.areas.push_back({c * per, count * per, use});
    if (kind < 4) {
      store.placed.push_back(
          {c * per, count, StoreUse::data, Chunk(random() % 1000), 1 + random() % 3});
    } else if (kind == 4) {
      for (std::uint64_t b = 0; b < count * per; ++b)
        if (b % per == 0 || random() % 2)
          store.placed.push_back({c * per + b, 10,
                                  random() % 4 ? StoreUse::tree_leaf : StoreUse::tree_node,
                                  Chunk(0), 1});
    }
    c += count;
  }
  std::shuffle(store.placed.begin(), store.placed.end(), random);
}

}  // namespace

TEST_CASE("A reverse map says of each chunk what its parts say, in one pass or in many") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (const std::uint64_t chunk_size : {4096, 16384}) {
    const RmapGeometry geometry{chunk_size, 6000, 1000 * chunk_size};
    FakeStore store(geometry);
    fill_randomly(store, geometry, random);
    for (const std::size_t room : {kRmapEntries, std::size_t{600}}) {
      const StoreRun range{StoreChunk(random() % 10), 5000};
      store.scans = 0;
      const auto lines = map_of(store, geometry, range, room);
      CHECK((store.scans > 1) == (room == 600));
      StoreChunk at = range.start;
      const RmapLine* before = nullptr;
      for (const RmapLine& line : lines) {
        REQUIRE(line.store.start == at);
        for (std::uint64_t i = 0; i < line.store.count; ++i) {
          const RmapLine one = store.at((at + i).value);
          REQUIRE(line.uses == one.uses);
          REQUIRE(line.mask == one.mask);
          if (one.uses == bit_of(StoreUse::data)) REQUIRE(line.chunk + i == one.chunk);
        }
        if (before != nullptr && before->uses == line.uses && before->mask == line.mask)
          REQUIRE(before->chunk + before->store.count != line.chunk);
        before = &line;
        at = line.store.end();
      }
      CHECK(at == range.end());
    }
  }
}

TEST_CASE("What the tree does not know of is told as it counts") {
  const RmapGeometry geometry{4096, 10, 4096 * 100};
  FakeStore store(geometry);
  store.areas = {{0, 1, StoreUse::reserved},
                 {1, 1, StoreUse::superblock},
                 {2, 4, StoreUse::used},
                 {6, 2, StoreUse::held},
                 {8, 2, StoreUse::free}};
  store.placed = {{2, 2, StoreUse::data, Chunk(7), 5}};
  CHECK(map_of(store, geometry, {StoreChunk(0), 10}) ==
        std::vector<RmapLine>{{{StoreChunk(0), 1}, bit_of(StoreUse::reserved), {}, 0},
                              {{StoreChunk(1), 1}, bit_of(StoreUse::superblock), {}, 0},
                              {{StoreChunk(2), 2}, bit_of(StoreUse::data), Chunk(7), 5},
                              {{StoreChunk(4), 2}, bit_of(StoreUse::not_seen), {}, 0},
                              {{StoreChunk(6), 2}, bit_of(StoreUse::held), {}, 0},
                              {{StoreChunk(8), 2}, bit_of(StoreUse::free), {}, 0}});
}

TEST_CASE("Bad sectors are named as the bytes of the snapshots that they hurt") {
  const RmapGeometry geometry{16384, 20, 16384 * 50 - 1000};
  FakeStore store(geometry);
  store.areas = {{0, 8, StoreUse::journal}, {8, 40, StoreUse::used}, {48, 32, StoreUse::free}};
  store.placed = {{8, 2, StoreUse::data, Chunk(48), 3},  // its last chunk is the volume's last
                  {16, 30, StoreUse::tree_leaf, Chunk(40), 2}};
  // The journal's last KiB, the first of the data, one in the middle of it, the volume's end, the
  // leaf, free space.
  std::istringstream list("31\n32\n\n40\n63\r\n64\n  200 \n");
  const auto bad = read_bad_sectors(list, 1024, 20 * 16384);
  REQUIRE(bad.ok());
  const auto hurt = find_hurt(store, geometry, *bad);
  REQUIRE(hurt.ok());
  REQUIRE(hurt->size() == 6);
  const auto& h = *hurt;
  CHECK(h[0].use == StoreUse::journal);
  CHECK(h[0].store == ByteRange{31 * 1024, 32 * 1024});
  CHECK(h[1].use == StoreUse::data);
  CHECK(h[1].volume == 48 * 16384);
  CHECK(h[1].length == 1024);
  CHECK(h[1].mask == 3);
  CHECK(h[2].volume == 48 * 16384 + 8 * 1024);
  CHECK(h[3].volume == 50 * 16384 - 1024);
  CHECK(h[3].length == 24);  // the volume ends there
  CHECK(h[4].use == StoreUse::tree_leaf);
  CHECK(h[4].chunks == ChunkRun{Chunk(40), 10});
  CHECK(h[4].mask == 2);
  CHECK(h[5].use == StoreUse::free);
}

TEST_CASE("A list of bad sectors that makes no sense is refused with its line") {
  for (const char* text :
       {"12\nx\n", "12\n-1\n", "1\n12 13\n", "1\n400\n", "1\n99999999999999999999999\n"}) {
    std::istringstream list(text);
    const auto bad = read_bad_sectors(list, 1024, 400 * 1024);
    REQUIRE(bad.status().code() == Code::invalid);
    CHECK(bad.status().message().find("line 2") == 0);
  }
  std::istringstream many("5\n3\n4\n4\n9\n");
  CHECK(*read_bad_sectors(many, 512, 1 << 20) ==
        std::vector<ByteRange>{{3 * 512, 6 * 512}, {9 * 512, 10 * 512}});
}

TEST_CASE("A range of store chunks is BEGIN..END or one number") {
  CHECK(*parse_store_range("", 9) == StoreRun{StoreChunk(0), 9});
  CHECK(*parse_store_range("3..5", 9) == StoreRun{StoreChunk(3), 2});
  CHECK(*parse_store_range("3", 9) == StoreRun{StoreChunk(3), 1});
  CHECK(*parse_store_range("8..9", 9) == StoreRun{StoreChunk(8), 1});
  for (const char* beyond : {"9..10", "9", "8..10", "0..100"})
    CHECK(parse_store_range(beyond, 9).status().code() == Code::out_of_range);
  for (const char* wrong : {"..", "3..", "..3", "5..3", "3..3", "3-5", "x", "-1", "3..5..7", " 3"})
    CHECK(parse_store_range(wrong, 9).status().code() == Code::invalid);
}

TEST_CASE("A handle survives being written down") {
  const VolumeHandle handle{Uuid::from_random(1, 2), 77};
  CHECK(*parse_handle(to_string(handle)) == handle);
  for (const std::string& wrong :
       {std::string("monday"), handle.store.to_string(), handle.store.to_string() + ":",
        to_string(handle) + "x", "x" + to_string(handle), handle.store.to_string() + ":-1"})
    CHECK(parse_handle(wrong).status().code() == Code::invalid);
}

TEST_CASE("The fixed areas of a store cover all that lies before its chunks") {
  for (const std::uint64_t metadata : {0, 64 << 20}) {
    for (const unsigned shift : {12, 16}) {
      LayoutRequest request;
      request.uuid = Uuid::from_random(1, 1);
      request.origin_size = 1 << 30;
      request.store_size = 256 << 20;
      request.metadata_size = metadata;
      request.chunk_shift = shift;
      const auto plan = plan_layout(request);
      REQUIRE(plan.ok());
      std::uint64_t at = 0;
      StoreUses seen = 0;
      for (const StoreArea& area : fixed_areas(*plan)) {
        CHECK(area.start == at);
        CHECK(area.count > 0);
        at = area.end();
        seen |= bit_of(area.use);
      }
      CHECK(at == plan->first_chunk().value * plan->blocks_per_chunk());
      CHECK((seen & bit_of(StoreUse::journal)) == (metadata == 0 ? bit_of(StoreUse::journal) : 0));
      CHECK((seen & bit_of(StoreUse::data_label)) ==
            (metadata == 0 ? 0 : bit_of(StoreUse::data_label)));
    }
  }
}

}  // namespace csnap
