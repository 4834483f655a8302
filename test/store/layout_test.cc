// SPDX-License-Identifier: Apache-2.0
#include <random>

#include "store/bits.h"
#include "store/checksums.h"
#include "store/space.h"
#include "store/superblock_format.h"
#include "store/tables.h"
#include "test/store/store_fixture.h"

using namespace csnap;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;

LayoutRequest request(std::uint64_t store, unsigned chunk_shift = 12, std::uint64_t metadata = 0) {
  LayoutRequest r;
  r.uuid = Uuid::from_random(1, 1);
  r.label = "test";
  r.origin_size = 100 * kMiB;
  r.store_size = store;
  r.metadata_size = metadata;
  r.chunk_shift = chunk_shift;
  return r;
}
Code code_of(const LayoutRequest& r) {
  return plan_layout(r).status().code();
}

}  // namespace

TEST_CASE("every size of store and chunk gets a layout that holds together") {
  for (unsigned shift = 12; shift <= 20; ++shift)
    for (const std::uint64_t size : std::initializer_list<std::uint64_t>{
             20 * kMiB, 1000 * kMiB + 12345, 3ULL << 40, 1ULL << 55}) {
      INFO("chunk 2^" << shift << ", store " << size);
      const auto plan = plan_layout(request(size, shift));
      REQUIRE(plan.ok());  // which has checked itself
      CHECK(plan->store_chunks() == size >> shift);
      CHECK(plan->data.free_chunks == plan->store_chunks() - plan->first_chunk().value);
      CHECK(plan->clean);
      CHECK(plan->tree_levels == 0);
    }
}

TEST_CASE("the journal is a 64th of the store between 1 and 64 MiB unless asked") {
  CHECK(plan_layout(request(32 * kMiB))->journal_blocks == 256);
  CHECK(plan_layout(request(1024 * kMiB))->journal_blocks == 4096);
  CHECK(plan_layout(request(1ULL << 40))->journal_blocks == 16384);
  LayoutRequest r = request(32 * kMiB);
  r.journal_size = 256 << 10;
  CHECK(plan_layout(r)->journal_blocks == 64);
  r.journal_size = (256 << 10) - 1;
  CHECK(code_of(r) == Code::invalid);
  r.journal_size = 40 * kMiB;
  CHECK(code_of(r) == Code::no_space);
  r.journal_size = ~0ULL;
  CHECK(code_of(r) == Code::out_of_range);
}

TEST_CASE("a store that is too small is told how much it needs, and that is enough") {
  for (const unsigned shift : {12u, 16u, 20u}) {
    LayoutRequest r = request(kMiB, shift);
    r.journal_size = 256 << 10;
    const auto plan = plan_layout(r);
    REQUIRE(plan.status().code() == Code::no_space);
    const std::string text = plan.status().message();
    const std::string marker = "at least ";
    r.store_size = std::stoull(text.substr(text.find(marker) + marker.size()));
    CHECK(plan_layout(r).ok());
    if (shift == 12) CHECK(r.store_size < 2 * kMiB);
    --r.store_size;
    CHECK(code_of(r) == Code::no_space);
  }
}

TEST_CASE("requests that make no sense are invalid") {
  LayoutRequest r = request(64 * kMiB);
  SECTION("chunk too small") {
    r.chunk_shift = 11;
  }
  SECTION("chunk too large") {
    r.chunk_shift = 21;
  }
  SECTION("no origin") {
    r.origin_size = 0;
  }
  SECTION("origin of half sectors") {
    r.origin_size = 1000;
  }
  SECTION("label too long") {
    r.label = std::string(65, 'x');
  }
  SECTION("label not text") {
    r.label = "\x1b[2J";
  }
  SECTION("nil uuid") {
    r.uuid = {};
  }
  const Code code = code_of(r);
  CHECK((code == Code::invalid || (r.uuid.is_nil() && code == Code::corrupt)));
}

TEST_CASE("a metadata device of its own takes everything but the data and its label") {
  const auto plan = plan_layout(request(64 * kMiB, 14, 8 * kMiB));
  REQUIRE(plan.ok());
  CHECK(plan->separate_metadata);
  CHECK((plan->incompatible & kFeatureSeparateMetadata) != 0);
  CHECK(plan->data.reserved == 4);  // one chunk
  CHECK(plan->metadata.blocks == 2048);
  CHECK(plan->metadata.chunk_shift == 12);
  CHECK(plan->metadata.reserved == plan->journal.value + plan->journal_blocks);
  CHECK(code_of(request(64 * kMiB, 14, 2 * kMiB)) == Code::no_space);
}

TEST_CASE("a formatted store is empty and whole") {
  StoreFixture f;
  CHECK(*read_superblock(f.device) == f.superblock);
  CHECK(check_devices(f.superblock, f.device, nullptr).ok());
  CHECK(SnapshotTable::decode(*f.cache, f.superblock)->all().empty());
  CHECK(ClientTable::decode(*f.cache, f.superblock)->all().empty());
  Space space(*f.cache, f.superblock.data);
  for (std::uint64_t c = f.superblock.first_chunk().value; c < f.superblock.store_chunks(); ++c)
    REQUIRE_FALSE(*f.with_reads([&] { return space.is_used(StoreChunk(c)); }));
  REQUIRE(f.cache->fetch_sync(f.superblock.data.bitmap).ok());
  const auto bitmap = f.cache->read(f.superblock.data.bitmap, BlockKind::bitmap);
  REQUIRE(bitmap.ok());
  CHECK(count_bits(bitmap->subspan(sizeof(BlockHeader)), 0, kBitsPerBitmapBlock) ==
        f.superblock.data.reserved);
}

TEST_CASE("formatting a large store writes little") {
  StoreFixture f(4ULL << 40);
  CHECK(f.volume->counters().bytes_written < 4 * kMiB);
  CHECK(f.superblock.data.bitmap_ready > 1);
}

TEST_CASE("a formatted store with a metadata device knows its data device") {
  const auto plan = plan_layout(request(64 * kMiB, 12, 8 * kMiB));
  REQUIRE(plan.ok());
  const auto data = std::make_shared<MemoryVolume>("data", 64 * kMiB);
  const auto meta = std::make_shared<MemoryVolume>("meta", 8 * kMiB);
  MemoryDevice data_device(data), meta_device(meta);
  // The data device was a store of its own before: nobody may find that one again.
  const auto alone = plan_layout(request(64 * kMiB, 12, 0));
  REQUIRE(alone.ok());
  REQUIRE(format_store(data_device, nullptr, *alone).ok());
  REQUIRE(format_store(data_device, &meta_device, *plan).ok());
  CHECK(*read_superblock(meta_device) == *plan);
  CHECK(read_superblock(data_device).status().code() == Code::invalid);
  CHECK(check_devices(*plan, data_device, &meta_device).ok());
  CHECK(check_devices(*plan, data_device, nullptr).code() == Code::invalid);

  SECTION("another store's data device is refused") {
    Superblock other = *plan;
    other.uuid = Uuid::from_random(9, 9);
    CHECK(check_devices(other, data_device, &meta_device).code() == Code::invalid);
  }
  SECTION("a damaged label is refused") {
    std::vector<std::byte> block = data->bytes(kBlockSize, kBlockSize);
    block[90] ^= std::byte{1};
    data->poke(kBlockSize, block);
    CHECK(check_devices(*plan, data_device, &meta_device).code() == Code::corrupt);
  }
  SECTION("a device that shrank is refused") {
    MemoryDevice small(std::make_shared<MemoryVolume>("small", 32 * kMiB));
    CHECK(check_devices(*plan, small, &meta_device).code() == Code::corrupt);
  }
}

TEST_CASE("a crash while a store is made anew leaves the new store or none") {
  unsigned none = 0, made = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 rng(seed);
    StoreFixture old;
    auto plan = old.superblock;
    plan.uuid = Uuid::from_random(seed, 5);
    // The device fails after so many requests, then the power does.
    class Dying : public MemoryDevice {
     public:
      Dying(std::shared_ptr<MemoryVolume> volume, unsigned lives)
          : MemoryDevice(std::move(volume)), lives_(lives) {}
      void submit(IoRequest request) override {
        if (lives_ > 0) {
          --lives_;
        } else {
          request.data = {};
          request.kind = IoKind::read;
          request.offset = ~0ULL << 12;
        }
        MemoryDevice::submit(std::move(request));
      }

     private:
      unsigned lives_;
    };
    Dying device(old.volume, rng() % 16);
    const bool finished = format_store(device, nullptr, plan).ok();
    old.volume->crash(rng);
    MemoryDevice after(old.volume);
    const auto s = read_superblock(after);
    if (s.ok() && s->uuid == old.superblock.uuid) continue;  // nothing had happened yet
    s.ok() ? ++made : ++none;
    if (finished) REQUIRE(s.ok());
    if (!s.ok()) continue;
    CHECK(*s == plan);
    BlockCache cache(after, plan.uuid, 1 << 20);
    CHECK(SnapshotTable::decode(cache, plan).ok());
    CHECK(cache.fetch_sync(plan.data.bitmap).ok());
  }
  CHECK(none > 0);
  CHECK(made > 0);
}
