// SPDX-License-Identifier: Apache-2.0
#include "store/space.h"

#include <random>

#include "test/store/store_fixture.h"

using namespace csnap;

namespace {

struct Fixture : StoreFixture {
  explicit Fixture(std::uint64_t size = 64 << 20, unsigned chunk_shift = kMinChunkShift)
      : StoreFixture(size, chunk_shift), space(*cache, superblock.data) {}

  StoreRun reserve(std::uint64_t wanted, std::uint64_t leave = 0) {
    const auto run = with_reads([&] { return space.reserve_chunks(wanted, leave); });
    REQUIRE(run.ok());
    return *run;
  }
  Code reserve_code(std::uint64_t leave = 0) {
    return with_reads([&] { return space.reserve_chunks(1, leave); }).status().code();
  }
  Status use(StoreRun run) {
    return with_reads([&] { return space.mark_used(run); });
  }
  // As a copy does: the reservation goes when the run is used.
  void use_reserved(StoreRun run) {
    REQUIRE(use(run).ok());
    space.unreserve(run);
  }
  Status free(StoreRun run) {
    return with_reads([&] { return space.mark_free(run); });
  }
  bool used(StoreChunk chunk) {
    const auto is = with_reads([&] { return space.is_used(chunk); });
    REQUIRE(is.ok());
    return *is;
  }
  // Takes everything that can be taken.
  std::uint64_t fill() {
    std::uint64_t taken = 0;
    while (true) {
      const auto run = with_reads([&] { return space.reserve_chunks(256, 0); });
      if (!run.ok()) return taken;
      use_reserved(*run);
      taken += run->count;
    }
  }
  std::vector<BlockAddress> allocate(std::uint64_t n) {
    REQUIRE(with_reads([&] { return space.ensure(n); }).ok());
    std::vector<BlockAddress> blocks;
    for (std::uint64_t i = 0; i < n; ++i) blocks.push_back(space.allocate_block());
    return blocks;
  }
  const SpaceLayout& layout() const { return superblock.data; }

  Space space;
};

struct LargeChunks : Fixture {
  LargeChunks() : Fixture(64 << 20, 16) {}
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a new store gives neighbouring chunks from its first free one on") {
  const StoreRun first = reserve(100);
  CHECK(first == StoreRun{superblock.first_chunk(), 100});
  CHECK(reserve(50) == StoreRun{first.end(), 50});
}

TEST_CASE_METHOD(Fixture, "a reserved run is given to nobody else and still counts as free") {
  const std::uint64_t before = space.free_chunks();
  const StoreRun run = reserve(10);
  CHECK(space.free_chunks() == before);
  CHECK(space.available_chunks() == before - 10);
  CHECK(space.is_held(run.start));
  CHECK_FALSE(used(run.start));
  CHECK(fill() == before - 10);
  CHECK(reserve_code() == Code::no_space);
  space.unreserve(run);
  CHECK(reserve(100) == run);
}

TEST_CASE_METHOD(Fixture, "a run that was used stays reserved until its owner takes that back") {
  const StoreRun run = reserve(10);
  const std::uint64_t before = space.free_chunks();
  REQUIRE(use(run).ok());
  CHECK(used(run.start));
  CHECK(space.is_held(run.start));
  CHECK(space.free_chunks() == before - 10);
  CHECK(space.available_chunks() == before - 10);
  CHECK(layout().free_blocks == before - 10);
  space.unreserve(run);
  CHECK_FALSE(space.is_held(run.start));
  CHECK(space.held_runs() == 0);
  CHECK(space.available_chunks() == before - 10);
}

TEST_CASE_METHOD(Fixture, "a freed run is held until its owner lets go of it") {
  const std::uint64_t all = fill();
  const StoreRun run{superblock.first_chunk() + 5, 3};
  REQUIRE(free(run).ok());
  CHECK(space.free_chunks() == 3);
  CHECK(space.available_chunks() == 0);
  CHECK(reserve_code() == Code::no_space);
  space.unhold(run);
  CHECK(space.available_chunks() == 3);
  CHECK(reserve(10) == run);
  CHECK(all > 3);
}

TEST_CASE_METHOD(Fixture, "a run held twice is given out only when both holds are gone") {
  fill();
  const StoreRun run{superblock.first_chunk(), 8};
  REQUIRE(free(run).ok());
  space.hold({run.start + 2, 2});  // a second reason for the middle
  space.unhold(run);
  CHECK(reserve(8) == StoreRun{run.start + 4, 4});
  CHECK(reserve(8) == StoreRun{run.start, 2});
  CHECK(reserve_code() == Code::no_space);
  space.unhold({run.start + 2, 2});
  CHECK(reserve(8) == StoreRun{run.start + 2, 2});
}

TEST_CASE_METHOD(Fixture, "a run that replay uses twice is kept from others in between") {
  const StoreRun run{superblock.first_chunk(), 4};
  space.hold(run);
  space.hold(run);
  REQUIRE(use(run).ok());
  space.unhold(run);
  REQUIRE(free(run).ok());
  space.unhold(run);  // the free is durable
  CHECK(space.is_held(run.start));
  CHECK(reserve(4).start == run.end());
  REQUIRE(use(run).ok());
  space.unhold(run);
  CHECK_FALSE(space.is_held(run.start));
}

TEST_CASE_METHOD(Fixture, "a chunk of a pool is the pool's also after it was used and freed") {
  const StoreRun pool = reserve(8);
  space.hold(pool);
  space.unreserve(pool);
  fill();
  REQUIRE(use({pool.start, 4}).ok());
  REQUIRE(free({pool.start, 4}).ok());
  space.unhold({pool.start, 4});
  CHECK(reserve_code() == Code::no_space);
  space.unhold(pool);
  CHECK(reserve(8) == pool);
}

TEST_CASE_METHOD(Fixture, "a run may be held while it is in use") {
  const StoreRun run = reserve(4);
  use_reserved(run);
  const std::uint64_t available = space.available_chunks();
  space.hold(run);
  CHECK(space.available_chunks() == available);
  REQUIRE(free(run).ok());
  space.unhold(run);
  CHECK(space.is_held(run.start));
  CHECK(space.available_chunks() == available);
  space.unhold(run);
  CHECK(space.available_chunks() == available + 4);
}

TEST_CASE_METHOD(Fixture, "what is used or freed twice is corrupt and changes nothing") {
  const StoreRun run = reserve(4);
  REQUIRE(use({run.start, 2}).ok());
  const SpaceLayout before = layout();
  CHECK(use(run).code() == Code::corrupt);
  CHECK(free(run).code() == Code::corrupt);
  CHECK(layout() == before);
  CHECK(space.is_held(run.start + 2));
  CHECK_FALSE(used(run.start + 2));
}

TEST_CASE_METHOD(Fixture, "chunks outside the space and in its fixed areas are refused") {
  const StoreChunk end{superblock.store_chunks()};
  for (const StoreRun run :
       {StoreRun{end, 1}, StoreRun{end - 1, 2}, StoreRun{StoreChunk(0), 1},
        StoreRun{superblock.first_chunk() - 1, 2}, StoreRun{StoreChunk(~0ULL >> 20), ~0ULL}}) {
    CHECK(space.prepare(run).code() == Code::corrupt);
    CHECK(space.mark_used(run).code() == Code::corrupt);
    CHECK(space.mark_free(run).code() == Code::corrupt);
  }
  space.hold({end - 1, 100});
  CHECK(space.held_runs() == 1);
  space.unhold({end - 1, 100});
  CHECK(space.held_runs() == 0);
}

TEST_CASE_METHOD(Fixture, "the blocks to be left for metadata are left") {
  const std::uint64_t free = layout().free_blocks;
  CHECK(reserve_code(free) == Code::no_space);
  const StoreRun run = reserve(100, free - 3);
  CHECK(run.count == 3);
  CHECK(reserve_code(free - 3) == Code::no_space);
  CHECK(allocate(5).size() == 5);
}

TEST_CASE_METHOD(Fixture, "the last free chunk is found wherever it is") {
  fill();
  std::mt19937_64 rng(3);
  for (int i = 0; i < 50; ++i) {
    const std::uint64_t first = superblock.first_chunk().value;
    const StoreChunk chunk(first + rng() % (superblock.store_chunks() - first));
    REQUIRE(free({chunk, 1}).ok());
    CHECK(reserve_code() == Code::no_space);
    space.unhold({chunk, 1});
    const StoreRun run = reserve(7);
    CHECK(run == StoreRun{chunk, 1});
    use_reserved(run);
  }
}

TEST_CASE_METHOD(Fixture, "a long run is preferred to a hole before it") {
  const StoreRun first = reserve(20);
  use_reserved(first);
  REQUIRE(free({first.start + 3, 2}).ok());
  space.unhold({first.start + 3, 2});
  superblock.data.cursor = first.start.value;
  CHECK(reserve(10).start == first.end());
}

TEST_CASE_METHOD(Fixture, "metadata blocks are ensured before they are taken") {
  const std::uint64_t before = layout().free_blocks;
  REQUIRE(with_reads([&] { return space.ensure(3); }).ok());
  CHECK(layout().free_blocks == before);
  CHECK(space.held_runs() == 1);  // three neighbours
  const BlockAddress a = space.allocate_block(), b = space.allocate_block();
  CHECK(b == a + 1);
  CHECK(layout().free_blocks == before - 2);
  CHECK(used(StoreChunk(a.value)));
}

TEST_CASE_METHOD(Fixture, "a block that was picked for metadata cannot become data") {
  const StoreChunk next = superblock.first_chunk();
  REQUIRE(with_reads([&] { return space.ensure(1); }).ok());
  REQUIRE(space.is_held(next));
  CHECK(use({next, 1}).code() == Code::corrupt);
  CHECK(space.allocate_block().value == next.value);
}

TEST_CASE_METHOD(Fixture, "a freed metadata block is not used before its checkpoint") {
  const auto blocks = allocate(4);
  fill();
  REQUIRE(space.prepare_free(blocks[1]).ok());
  space.free_block(blocks[1]);
  const auto ticket = space.take_freed_blocks();
  CHECK(ticket == std::vector<BlockAddress>{blocks[1]});
  CHECK(space.take_freed_blocks().empty());
  CHECK(with_reads([&] { return space.ensure(1); }).code() == Code::no_space);
  CHECK(layout().free_blocks == 1);
  space.release_freed_blocks(ticket);
  CHECK(allocate(1) == ticket);
}

TEST_CASE_METHOD(Fixture, "only a block that is in use can be prepared to be freed") {
  for (const BlockAddress block : {BlockAddress(layout().reserved + 9), kSuperblockA,
                                   BlockAddress(layout().blocks), BlockAddress(~0ULL)})
    CHECK(with_reads([&] { return space.prepare_free(block); }).code() == Code::corrupt);
}

TEST_CASE_METHOD(Fixture, "data and metadata do not take turns block by block") {
  const BlockAddress a = allocate(1)[0];
  const StoreRun data = reserve(8);
  const BlockAddress b = allocate(1)[0];
  CHECK(b == a + 1);
  CHECK(data.start.value >= a.value + 64);
}

TEST_CASE_METHOD(LargeChunks, "metadata fills the chunk it broke into before it breaks another") {
  const std::uint64_t chunks = space.free_chunks();
  const auto blocks = allocate(16);
  CHECK(space.free_chunks() == chunks - 1);
  CHECK(layout().free_blocks == chunks * 16 - 16);
  for (const BlockAddress b : blocks) CHECK(b.value / 16 == blocks[0].value / 16);
  allocate(1);
  CHECK(space.free_chunks() == chunks - 2);
}

TEST_CASE_METHOD(LargeChunks, "a chunk is whole again when its last metadata block is freed") {
  const std::uint64_t chunks = space.free_chunks();
  const auto blocks = allocate(16);
  for (const BlockAddress b : blocks) {
    CHECK(space.free_chunks() == chunks - 1);
    REQUIRE(space.prepare_free(b).ok());
    space.free_block(b);
  }
  CHECK(space.free_chunks() == chunks);
  CHECK(space.available_chunks() == chunks - 1);
  space.release_freed_blocks(space.take_freed_blocks());
  CHECK(space.available_chunks() == chunks);
}

TEST_CASE_METHOD(LargeChunks, "metadata takes the last blocks when no chunk is whole") {
  allocate(1);
  fill();
  CHECK(space.free_chunks() == 0);
  CHECK(layout().free_blocks == 15);
  allocate(15);
  CHECK(with_reads([&] { return space.ensure(1); }).code() == Code::no_space);
}

TEST_CASE("bitmap blocks never written are made when they are first needed, in order") {
  Fixture f(4ULL << 30);
  REQUIRE(f.layout().bitmap_blocks == 33);
  CHECK(f.layout().bitmap_ready == 1);
  f.fill();
  CHECK(f.layout().bitmap_ready == 33);
  CHECK(f.layout().free_blocks == 0);
}

TEST_CASE("a record that names a block far beyond those in use is corrupt") {
  Fixture f(1ULL << 40);
  CHECK(f.use({StoreChunk(f.superblock.store_chunks() - 1), 1}).code() == Code::corrupt);
  CHECK(f.layout().bitmap_ready < 20);
}

TEST_CASE_METHOD(Fixture, "blocks of the fixed areas are not given out by a damaged bitmap") {
  auto bitmap = cache->create(layout().bitmap, BlockKind::bitmap);  // all clear
  REQUIRE(bitmap.size() == kBlockSize);
  superblock.data.cursor = 0;
  CHECK(reserve(1).start == superblock.first_chunk());
}
