// SPDX-License-Identifier: Apache-2.0
// A Space and its naive twin under the same random events.
#include <optional>
#include <random>
#include <set>

#include "store/bits.h"
#include "store/space.h"
#include "test/store/space_model.h"
#include "test/store/store_fixture.h"

using namespace csnap;

namespace {

struct Shape {
  std::uint64_t size;  // of the store, bytes
  unsigned chunk_shift;
  std::size_t cache_blocks;
  unsigned full_percent;  // of the blocks in use before it begins
  unsigned events;
  unsigned check_every;  // events between two looks at everything
};

class Twins : public StoreFixture {
 public:
  Twins(const Shape& shape, std::uint64_t seed)
      : StoreFixture(shape.size, shape.chunk_shift, shape.cache_blocks),
        model(superblock.data.blocks, superblock.data.reserved, superblock.blocks_per_chunk()),
        per_chunk(superblock.blocks_per_chunk()),
        rng(seed) {
    prefill(shape.full_percent);
    space.emplace(*cache, superblock.data);
    expected = model.count();
  }

  void run(const Shape& shape) {
    for (unsigned i = 0; i < shape.events; ++i) {
      step();
      REQUIRE(superblock.data.free_blocks == expected.free_blocks);
      REQUIRE(superblock.data.free_chunks == expected.free_chunks);
      if (i % shape.check_every == 0) check_all();
    }
    check_all();
  }

  std::vector<std::uint64_t> trace;  // what it answered

 private:
  using Runs = std::vector<StoreRun>;

  // Chunks in use at random places, as if long ago: on disk, in no cache.
  void prefill(unsigned percent) {
    SpaceLayout& layout = superblock.data;
    for (std::uint64_t c = superblock.first_chunk().value; c < model.chunks(); ++c)
      if (rng() % 100 < percent)
        for (std::uint64_t i = 0; i < per_chunk; ++i) model.set_used(c * per_chunk + i, true);
    if (percent == 0) return;
    layout.bitmap_ready = layout.bitmap_blocks;
    for (std::uint64_t g = 0; g < layout.bitmap_blocks; ++g) {
      std::vector<std::byte> block(kBlockSize);
      const auto bits = std::span(block).subspan(sizeof(BlockHeader));
      const std::uint64_t base = g * kBitsPerBitmapBlock;
      for (std::uint64_t b = base; b < std::min(base + kBitsPerBitmapBlock, layout.blocks); ++b)
        if (model.used(b)) set_bits(bits, b - base, b - base + 1);
      const BlockAddress address = layout.bitmap + g;
      seal_block(block, BlockKind::bitmap, address, superblock.uuid, Sequence(0));
      volume->poke(address.value * kBlockSize, block);
    }
    const auto counts = model.count();
    layout.free_blocks = counts.free_blocks;
    layout.free_chunks = counts.free_chunks;
  }

  void step() {
    switch (rng() % 16) {
      case 0:
      case 1:
      case 2:
      case 3:
        return reserve();
      case 4:
      case 5:
        return commit();
      case 6:
        return unreserve();
      case 7:
      case 8:
        return free_some();
      case 9:
      case 10:
        return let_go(freed);
      case 11:
        return hold_some();
      case 12:
        return let_go(held);
      case 13:
        return allocate();
      case 14:
        return free_block();
      default:
        return checkpoint_now();
    }
  }

  // A miss changes nothing that anybody can see.
  template <class F>
  auto patiently(F f) {
    return with_reads([&] {
      const SpaceLayout before = superblock.data;
      const std::uint64_t runs = space->held_runs();
      auto result = f();
      if (!result.ok() && superblock.data.free_blocks != before.free_blocks)
        FAIL("a failure changed the count of free blocks");
      if (!result.ok() && space->held_runs() < runs) FAIL("a failure let go of a run");
      return result;
    });
  }

  void reserve() {
    const std::uint64_t wanted = 1 + rng() % (rng() % 4 == 0 ? 64 : 8);
    const std::uint64_t leave = rng() % 4 == 0 ? rng() % 64 : 0;
    const auto run = patiently([&] { return space->reserve_chunks(wanted, leave); });
    if (!run.ok()) {
      REQUIRE(run.status().code() == Code::no_space);
      const auto counts = model.count();
      const bool could = counts.takeable_chunks > 0 && counts.spare_blocks >= leave + per_chunk;
      REQUIRE_FALSE(could);
      trace.push_back(0);
      return;
    }
    REQUIRE(run->count >= 1);
    REQUIRE(run->count <= wanted);
    for (std::uint64_t i = 0; i < run->count; ++i)
      REQUIRE(model.chunk_takeable(run->start.value + i));
    each_block(*run, [&](std::uint64_t b) { model.avoid(b); });
    if (leave > 0) REQUIRE(model.count().spare_blocks >= leave);
    reserved.push_back(*run);
    trace.push_back(run->start.value << 8 | run->count);
  }

  void commit() {
    if (reserved.empty()) return;
    const StoreRun run = take(reserved);
    REQUIRE(patiently([&] { return space->mark_used(run); }).ok());
    each_block(run, [&](std::uint64_t b) { model.set_used(b, true); });
    held.push_back(run);
    expected.free_blocks -= run.count * per_chunk;
    expected.free_chunks -= run.count;
  }

  void unreserve() {
    if (reserved.empty()) return;
    const StoreRun run = take(reserved);
    space->unreserve(run);
    each_block(run, [&](std::uint64_t b) { model.unavoid(b); });
  }

  void free_some() {
    const std::uint64_t first = superblock.first_chunk().value;
    std::uint64_t start = first + rng() % (model.chunks() - first);
    std::uint64_t count = 0;
    while (start + count < model.chunks() && count < 6 && data_chunk(start + count)) ++count;
    if (count == 0) return;
    const StoreRun run{StoreChunk(start), count};
    REQUIRE(patiently([&] { return space->mark_free(run); }).ok());
    each_block(run, [&](std::uint64_t b) {
      model.set_used(b, false);
      model.avoid(b);
    });
    expected.free_blocks += count * per_chunk;
    expected.free_chunks += count;
    freed.push_back(run);
  }

  // Wholly in use, and not by metadata.
  bool data_chunk(std::uint64_t chunk) const {
    for (std::uint64_t i = 0; i < per_chunk; ++i) {
      const std::uint64_t b = chunk * per_chunk + i;
      if (!model.used(b) || metadata.contains(b)) return false;
    }
    return true;
  }

  void hold_some() {
    const StoreRun run{StoreChunk(rng() % model.chunks()), 1 + rng() % 20};
    space->hold(run);
    each_block(run, [&](std::uint64_t b) { model.avoid(b); });
    held.push_back(run);
  }

  void let_go(Runs& runs) {
    if (runs.empty()) return;
    const StoreRun run = take(runs);
    space->unhold(run);
    each_block(run, [&](std::uint64_t b) { model.unavoid(b); });
  }

  void allocate() {
    const std::uint64_t n = 1 + rng() % 6;
    const Status ensured = patiently([&] { return space->ensure(n); });
    if (!ensured.ok()) {
      REQUIRE(ensured.code() == Code::no_space);
      REQUIRE(model.count().spare_blocks < n);
      trace.push_back(1);
      return;
    }
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::uint64_t b = space->allocate_block().value;
      REQUIRE(model.takeable(b));
      expected.free_chunks -= model.chunk_free(b / per_chunk);
      expected.free_blocks -= 1;
      model.set_used(b, true);
      metadata.insert(b);
      trace.push_back(b);
    }
  }

  void free_block() {
    if (metadata.empty()) return;
    auto i = metadata.lower_bound(rng() % model.blocks());
    if (i == metadata.end()) i = metadata.begin();
    const std::uint64_t b = *i;
    metadata.erase(i);
    REQUIRE(patiently([&] { return space->prepare_free(BlockAddress(b)); }).ok());
    space->free_block(BlockAddress(b));
    model.set_used(b, false);
    model.avoid(b);
    expected.free_blocks += 1;
    expected.free_chunks += model.chunk_free(b / per_chunk);
  }

  void checkpoint_now() {
    const auto blocks = space->take_freed_blocks();
    checkpoint();
    space->release_freed_blocks(blocks);
    for (const BlockAddress b : blocks) model.unavoid(b.value);
  }

  void check_all() {
    expected = model.count();
    REQUIRE(superblock.data.free_blocks == expected.free_blocks);
    REQUIRE(superblock.data.free_chunks == expected.free_chunks);
    REQUIRE(space->available_chunks() <= expected.takeable_chunks);
    for (std::uint64_t c = superblock.first_chunk().value; c < model.chunks();
         c += 1 + rng() % 97) {
      const auto used = patiently([&] { return space->is_used(StoreChunk(c)); });
      REQUIRE(used.ok());
      if (*used == model.chunk_free(c)) FAIL("chunk " << c << " used: " << *used);
      if (space->is_held(StoreChunk(c)) != model.chunk_avoided(c)) FAIL("chunk " << c << " held");
    }
    // Every bitmap has been looked at now; where they are few, they are all in memory.
    if (superblock.data.bitmap_blocks < 64)
      REQUIRE(space->available_chunks() == expected.takeable_chunks);
  }

  template <class F>
  void each_block(StoreRun run, F f) {
    const std::uint64_t end = std::min(run.end().value * per_chunk, model.blocks());
    for (std::uint64_t b = run.start.value * per_chunk; b < end; ++b) f(b);
  }
  StoreRun take(Runs& runs) {
    const std::size_t i = rng() % runs.size();
    std::swap(runs[i], runs.back());
    const StoreRun run = runs.back();
    runs.pop_back();
    return run;
  }

  SpaceModel model;
  const std::uint64_t per_chunk;
  std::mt19937_64 rng;
  std::optional<Space> space;
  SpaceModel::Counts expected;
  Runs reserved, freed, held;
  std::set<std::uint64_t> metadata;  // blocks in use by it
};

void compare(const Shape& shape, std::uint64_t seed) {
  INFO("seed " << seed);
  Twins twins(shape, seed);
  twins.run(shape);
}

}  // namespace

TEST_CASE("a space agrees with its naive twin in a small store that fills up") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed)
    compare({.size = 6 << 20,
             .chunk_shift = 12,
             .cache_blocks = 64,
             .full_percent = 0,
             .events = 4000,
             .check_every = 5},
            seed);
}

TEST_CASE("a space agrees with its naive twin when chunks have many blocks") {
  for (const unsigned shift : {13u, 16u, 19u, 20u})
    compare({.size = 96 << 20,
             .chunk_shift = shift,
             .cache_blocks = 64,
             .full_percent = 60,
             .events = 4000,
             .check_every = 50},
            shift);
}

TEST_CASE("a space agrees with its naive twin when most bitmaps are not in memory") {
  for (const unsigned shift : {12u, 15u}) {
    const Shape shape{.size = 20ULL << 30,
                      .chunk_shift = shift,
                      .cache_blocks = 64,
                      .full_percent = shift == 12 ? 100u : 99u,
                      .events = 1500,
                      .check_every = 500};
    INFO("seed " << shift);
    Twins twins(shape, shift);
    REQUIRE(twins.superblock.data.bitmap_blocks > 128);
    twins.run(shape);
    CHECK(twins.misses > 100);
  }
}

TEST_CASE("a space answers the same to the same events") {
  const Shape shape{.size = 300 << 20,
                    .chunk_shift = 14,
                    .cache_blocks = 64,
                    .full_percent = 80,
                    .events = 3000,
                    .check_every = 1000};
  Twins a(shape, 5), b(shape, 5);
  a.run(shape);
  b.run(shape);
  CHECK(a.trace.size() > 500);
  CHECK(a.trace == b.trace);
}
