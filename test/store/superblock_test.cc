// SPDX-License-Identifier: Apache-2.0
#include "store/superblock.h"

#include <cstring>
#include <functional>
#include <random>

#include "store/aligned_buffer.h"
#include "store/superblock_check.h"
#include "store/superblock_format.h"
#include "test/store/store_fixture.h"

using namespace csnap;

namespace {

Superblock sample(bool separate = false) {
  LayoutRequest request;
  request.uuid = Uuid::from_random(1, 2);
  request.label = "büro";
  request.origin_size = 10 << 20;
  request.store_size = 64 << 20;
  request.metadata_size = separate ? 16 << 20 : 0;
  auto plan = plan_layout(request);
  REQUIRE(plan.ok());
  Superblock s = *plan;
  s.epoch = Epoch(5);
  s.holder = "csnapd, pid 7 on host.example";
  s.clean = false;
  s.compatible = 1ULL << 63;
  s.metadata_space().free_blocks -= 3;
  s.metadata_space().free_chunks -= 3;
  s.tree_levels = 2;
  s.tree_blocks = 3;
  s.tree_root = BlockAddress(s.metadata_space().reserved);
  s.exceptions = 12;
  s.next_snapshot = SnapshotId(4);
  s.checkpoint = Sequence(90);
  s.tail = {17, Sequence(88)};
  return s;
}

using Bytes = std::vector<std::byte>;
Bytes encoded(const Superblock& s, BlockAddress address = kSuperblockA) {
  Bytes block(kBlockSize);
  encode_superblock(s, address, block);
  return block;
}
// After a change to the bytes that keeps the checksum right, as a hostile writer would.
Result<Superblock> tampered(const Superblock& s, const std::function<void(SuperblockDisk&)>& f) {
  Bytes block = encoded(s);
  f(view_as<SuperblockDisk>(std::span<std::byte>(block)));
  seal_checksum(block);
  return decode_superblock(block, kSuperblockA);
}

struct Fixture : StoreFixture {
  void poke(BlockAddress address, const Bytes& block) {
    volume->poke(address.value * kBlockSize, block);
  }
  void wipe(BlockAddress address) { poke(address, Bytes(kBlockSize)); }
};

}  // namespace

TEST_CASE("a superblock is decoded as it was encoded") {
  for (const bool separate : {false, true})
    for (const BlockAddress address : {kSuperblockA, kSuperblockB}) {
      const Superblock s = sample(separate);
      const auto back = decode_superblock(encoded(s, address), address);
      REQUIRE(back.ok());
      CHECK(*back == s);
    }
}

TEST_CASE("the bytes of a superblock are where its format page says") {
  const Bytes block = encoded(sample());
  const auto at = [&](std::size_t offset) { return std::to_integer<int>(block[offset]); };
  CHECK(std::memcmp(block.data(), "CSsb", 4) == 0);
  CHECK(std::memcmp(block.data() + 64, "csnap snap store", 16) == 0);
  CHECK(at(80) == 1);    // version
  CHECK(at(104) == 5);   // epoch
  CHECK(at(120) == 12);  // chunk shift
  CHECK(at(376) == 90);  // checkpoint
  CHECK(at(384) == 17);  // tail
  CHECK(std::memcmp(block.data() + 408, "csnapd, pid 7", 13) == 0);
}

TEST_CASE("a superblock at the wrong address or with a changed bit is corrupt") {
  const Superblock s = sample();
  CHECK(decode_superblock(encoded(s, kSuperblockA), kSuperblockB).status().code() == Code::corrupt);
  Bytes block = encoded(s);
  for (const std::size_t i : {0u, 4u, 9u, 17u, 33u, 100u, 400u, 4095u}) {
    block[i] ^= std::byte{4};
    CHECK(decode_superblock(block, kSuperblockA).status().code() == Code::corrupt);
    block[i] ^= std::byte{4};
  }
  CHECK(decode_superblock(block, kSuperblockA).ok());
}

TEST_CASE("an unknown incompatible feature is refused by its name, or by its bit") {
  const auto named = tampered(sample(), [](SuperblockDisk& disk) {
    disk.incompatible.set(disk.incompatible.get() | 1ULL << 40);
    std::strcpy(disk.feature_names[40], "time-travel");
  });
  CHECK(named.status().code() == Code::unsupported);
  CHECK_THAT(named.status().message(), Catch::Contains("time-travel (bit 40)"));
  const auto nameless = tampered(
      sample(), [](SuperblockDisk& disk) { disk.incompatible.set(disk.incompatible.get() | 16); });
  CHECK(nameless.status().code() == Code::unsupported);
  CHECK_THAT(nameless.status().message(), Catch::Contains("bit 4;"));
}

TEST_CASE("a feature in use leaves its name for older builds") {
  const Bytes block = encoded(sample(true));
  CHECK(std::memcmp(block.data() + 576, "separate-metadata", 18) == 0);
}

TEST_CASE("a copy of metadata is known as such, and refused with what to do") {
  Superblock s = sample();
  const MemoryDevice device(std::make_shared<MemoryVolume>("md", kBlockSize));
  CHECK_FALSE(s.is_copy());
  CHECK(refuse_copy(s, device).ok());
  s.mark_as_copy();
  const auto back = decode_superblock(encoded(s), kSuperblockA);
  REQUIRE(back.ok());
  CHECK(back->is_copy());
  const Status refused = refuse_copy(*back, device);
  CHECK(refused.code() == Code::invalid);
  CHECK(refused.message().find("csnap-dump md | csnap-restore") != std::string::npos);
  Superblock separate = sample(true);  // there it would be no copy, but the metadata itself
  separate.mark_as_copy();
  CHECK(decode_superblock(encoded(separate), kSuperblockA).status().code() == Code::corrupt);
}

TEST_CASE("an unknown compatible feature is no obstacle and is kept") {
  CHECK(tampered(sample(), [](SuperblockDisk& d) { d.compatible.set(6); })->compatible == 6);
}

TEST_CASE("another format version is refused") {
  const auto s = tampered(sample(), [](SuperblockDisk& disk) { disk.version.set(2); });
  CHECK(s.status().code() == Code::unsupported);
  CHECK_THAT(s.status().message(), Catch::Contains("version 2"));
}

TEST_CASE("texts for people cannot carry control characters to a terminal") {
  const auto s = tampered(sample(), [](SuperblockDisk& disk) {
    disk.holder[0] = '\x1b';
    disk.label[0] = '\n';
    disk.label_length.set(255);
  });
  REQUIRE(s.ok());
  CHECK(s->holder.substr(0, 4) == "?sna");
  CHECK(s->label.size() == 64);
  CHECK(s->label[0] == '?');
}

TEST_CASE("a holder that is too long is cut") {
  Superblock s = sample();
  s.holder = std::string(500, 'h');
  CHECK(decode_superblock(encoded(s), kSuperblockA)->holder == std::string(104, 'h'));
}

TEST_CASE("a superblock that contradicts itself is corrupt") {
  using Change = std::function<void(Superblock&)>;
  const std::vector<std::pair<const char*, Change>> changes{
      {"nil uuid", [](Superblock& s) { s.uuid = {}; }},
      {"chunk shift too small", [](Superblock& s) { s.chunk_shift = s.data.chunk_shift = 11; }},
      {"chunk shift too large", [](Superblock& s) { s.chunk_shift = s.data.chunk_shift = 70; }},
      {"two chunk shifts", [](Superblock& s) { s.chunk_shift = 13; }},
      {"no blocks", [](Superblock& s) { s.data.blocks = 0; }},
      {"too many blocks", [](Superblock& s) { s.data.blocks = ~0ULL; }},
      {"reserved beyond the end", [](Superblock& s) { s.data.reserved = s.data.blocks + 1; }},
      {"bitmap too short", [](Superblock& s) { --s.data.bitmap_blocks; }},
      {"bitmap ready beyond its end", [](Superblock& s) { s.data.bitmap_ready = 1000; }},
      {"bitmap of the reserved not ready", [](Superblock& s) { s.data.bitmap_ready = 0; }},
      {"too many free blocks", [](Superblock& s) { s.data.free_blocks = s.data.blocks; }},
      {"too many free chunks", [](Superblock& s) { s.data.free_chunks = s.data.blocks; }},
      {"cursor beyond the end", [](Superblock& s) { s.data.cursor = s.data.blocks + 1; }},
      {"no origin", [](Superblock& s) { s.origin_size = 0; }},
      {"origin too large", [](Superblock& s) { s.origin_size = (1ULL << 60) + 1; }},
      {"origin beyond counting", [](Superblock& s) { s.origin_size = ~0ULL; }},
      {"snapshots over A", [](Superblock& s) { s.snapshots = kSuperblockA; }},
      {"snapshots too few", [](Superblock& s) { s.snapshot_blocks = 3; }},
      {"clients over B", [](Superblock& s) { s.clients = kSuperblockB - 2; }},
      {"clients beyond counting", [](Superblock& s) { s.client_blocks = ~0ULL; }},
      {"no clients", [](Superblock& s) { s.client_blocks = 0; }},
      {"bitmap over the checksums", [](Superblock& s) { s.data.bitmap = s.checksums; }},
      {"bitmap at block 0", [](Superblock& s) { s.data.bitmap = BlockAddress(0); }},
      {"checksums too few", [](Superblock& s) { s.checksum_blocks = 2; }},
      {"checksums ready beyond", [](Superblock& s) { s.checksums_ready = 1 << 20; }},
      {"journal in free space", [](Superblock& s) { s.journal.value = s.data.reserved; }},
      {"journal wraps", [](Superblock& s) { s.journal = BlockAddress(~0ULL - 5); }},
      {"journal too short", [](Superblock& s) { s.journal_blocks = 63; }},
      {"tail beyond the journal", [](Superblock& s) { s.tail.block = s.journal_blocks; }},
      {"root in the fixed areas", [](Superblock& s) { s.tree_root = kSuperblockB; }},
      {"root beyond the end", [](Superblock& s) { s.tree_root.value = s.data.blocks; }},
      {"tree too deep", [](Superblock& s) { s.tree_levels = 200; }},
      {"levels without blocks", [](Superblock& s) { s.tree_blocks = 0; }},
      {"blocks without levels", [](Superblock& s) { s.tree_levels = 0; }},
      {"more exceptions than chunks", [](Superblock& s) { s.exceptions = 1 << 30; }},
      {"next snapshot is the origin", [](Superblock& s) { s.next_snapshot = kOrigin; }},
  };
  REQUIRE(decode_superblock(encoded(sample()), kSuperblockA).ok());
  for (const auto& [name, change] : changes) {
    INFO(name);
    Superblock s = sample();
    change(s);
    CHECK(decode_superblock(encoded(s), kSuperblockA).status().code() == Code::corrupt);
  }
}

TEST_CASE("no random bytes under a good checksum get past decoding with areas out of bounds") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  unsigned accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto s = tampered(sample(i % 2 == 1), [&](SuperblockDisk& disk) {
      auto* bytes = reinterpret_cast<unsigned char*>(&disk);
      for (auto n = 1 + rng() % 3; n > 0; --n) bytes[120 + rng() % 280] = rng() % 256;
    });
    if (!s.ok()) continue;
    ++accepted;
    REQUIRE(check_superblock(*s).ok());
    REQUIRE(s->journal.value + s->journal_blocks <= s->metadata_space().reserved);
    REQUIRE(s->metadata_space().reserved <= s->metadata_space().blocks);
  }
  CHECK(accepted > 0);
}

TEST_CASE_METHOD(Fixture, "the newest valid superblock wins") {
  Superblock older = superblock, newer = superblock;
  const auto both = [&](const Superblock& a, const Superblock& b) {
    poke(kSuperblockA, encoded(a, kSuperblockA));
    poke(kSuperblockB, encoded(b, kSuperblockB));
    const auto s = read_superblock(device);
    REQUIRE(s.ok());
    return *s;
  };
  SECTION("by checkpoint") {
    newer.checkpoint = Sequence(9);
  }
  SECTION("by epoch before checkpoint") {
    newer.epoch = Epoch(3);
    older.checkpoint = Sequence(9);
  }
  SECTION("by tail when the checkpoint is the same") {
    newer.tail.sequence = Sequence(6);
  }
  CHECK(both(newer, older) == newer);
  CHECK(both(older, newer) == newer);
}

TEST_CASE_METHOD(Fixture, "the first copy wins when neither is newer, for it is written first") {
  Superblock closed = superblock;
  closed.clean = false;
  closed.holder = "somebody";
  poke(kSuperblockA, encoded(closed, kSuperblockA));
  CHECK(*read_superblock(device) == closed);
}

TEST_CASE_METHOD(Fixture, "either copy alone is enough") {
  SECTION("second torn") {
    wipe(kSuperblockB);
  }
  SECTION("first torn") {
    wipe(kSuperblockA);
  }
  CHECK(*read_superblock(device) == superblock);
}

TEST_CASE_METHOD(Fixture, "a device without a superblock holds no store") {
  wipe(kSuperblockA);
  wipe(kSuperblockB);
  // Its other blocks tell that there was one.
  CHECK(read_superblock(device).status().code() == Code::corrupt);
  for (BlockAddress block(0); block.value < device.size() / kBlockSize; ++block) wipe(block);
  CHECK(read_superblock(device).status().code() == Code::not_found);
  MemoryDevice tiny(std::make_shared<MemoryVolume>("tiny", 4096));
  CHECK(read_superblock(tiny).status().code() == Code::not_found);
}

TEST_CASE_METHOD(Fixture, "a store whose superblocks are both damaged is told from none") {
  Bytes damaged = encoded(superblock);
  damaged[500] ^= std::byte{1};
  poke(kSuperblockA, damaged);
  wipe(kSuperblockB);
  const auto s = read_superblock(device);
  CHECK(s.status().code() == Code::corrupt);
  CHECK_THAT(s.status().message(),
             Catch::Contains("first copy: ") && Catch::Contains("second copy: "));
}

TEST_CASE_METHOD(Fixture,
                 "a copy by a newer build makes the store unsupported, not the other copy") {
  Bytes block = encoded(superblock);
  view_as<SuperblockDisk>(std::span<std::byte>(block)).version.set(9);
  seal_checksum(block);
  poke(kSuperblockA, block);
  CHECK(read_superblock(device).status().code() == Code::unsupported);
}

TEST_CASE_METHOD(Fixture, "superblocks of two stores are not chosen between") {
  Superblock other = superblock;
  other.uuid = Uuid::from_random(3, 3);
  poke(kSuperblockB, encoded(other, kSuperblockB));
  CHECK(read_superblock(device).status().code() == Code::corrupt);
}

TEST_CASE_METHOD(Fixture,
                 "a crash while superblocks are written leaves the old one or the new one") {
  Superblock next = superblock;
  next.checkpoint = Sequence(7);
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 rng(seed);
    const auto copy = volume->clone();
    auto writer = std::make_unique<MemoryDevice>(copy);
    // As write_superblock() does, with the power failing on the way.
    unsigned steps = rng() % 4;
    AlignedBuffer buffer(kBlockSize);
    for (const BlockAddress address : {kSuperblockA, kSuperblockB}) {
      encode_superblock(next, address, buffer.span());
      if (steps-- == 0) break;
      REQUIRE(write_sync(*writer, address.value * kBlockSize, buffer.span()).ok());
      if (steps-- == 0) break;
      REQUIRE(flush_sync(*writer).ok());
    }
    copy->crash(rng);
    MemoryDevice after(copy);
    const auto s = read_superblock(after);
    REQUIRE(s.ok());
    CHECK((*s == superblock || *s == next));
  }
}

TEST_CASE_METHOD(Fixture, "written superblocks are both durable") {
  superblock.holder = "us";
  REQUIRE(write_superblock(device, superblock).ok());
  volume->crash_losing_all();
  for (const BlockAddress address : {kSuperblockA, kSuperblockB})
    CHECK(*decode_superblock(volume->bytes(address.value * kBlockSize, kBlockSize), address) ==
          superblock);
}
