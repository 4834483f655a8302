// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <cstring>

#include "btree/node.h"
#include "server/check.h"
#include "server/pack.h"
#include "server/repair.h"
#include "store/pack_device.h"
#include "test/dump/dump_rig.h"

namespace csnap {
namespace {

RigOptions options_for(unsigned chunk_shift, bool separate) {
  RigOptions options;
  options.chunk_shift = chunk_shift;
  options.separate_metadata = separate;
  options.origin_chunks = chunk_shift == 12 ? 1500 : 300;
  options.store_bytes = chunk_shift == 12 ? 32u << 20 : 96u << 20;
  return options;
}

Result<std::string> pack(DumpRig& rig, Packed* packed = nullptr) {
  MemoryDevice device(rig.store);
  std::unique_ptr<MemoryDevice> metadata;
  if (rig.metadata) metadata = std::make_unique<MemoryDevice>(rig.metadata);
  std::string bytes;
  const std::uint64_t before = rig.writes();
  const auto done = pack_store(device, metadata.get(), {}, [&](std::string_view more) -> Status {
    bytes += more;
    return {};
  });
  CHECK(rig.writes() == before);
  if (!done.ok()) return done.status();
  if (packed) *packed = *done;
  return bytes;
}

Result<PackFile> open_pack(std::string bytes, const std::string& name = "a pack") {
  const std::uint64_t size = bytes.size();
  return PackFile::open(
      [bytes = std::move(bytes)](std::uint64_t offset, std::span<std::byte> data) -> Status {
        if (offset > bytes.size() || data.size() > bytes.size() - offset)
          return Status(Code::corrupt, "read beyond the end");
        std::memcpy(data.data(), bytes.data() + offset, data.size());
        return {};
      },
      size, name);
}

PackFile pack_of(DumpRig& rig) {
  auto bytes = pack(rig);
  if (!bytes.ok()) FAIL(bytes.status().to_string());
  // What is found names the device.
  auto file = open_pack(*bytes, rig.meta().name());
  if (!file.ok()) FAIL(file.status().to_string());
  return *file;
}

std::string findings(Device& store, Device* metadata, bool has_data) {
  CheckOptions options;
  options.has_data = has_data;
  const auto report = check_store(store, metadata, options);
  if (!report.ok()) return report.status().to_string();
  std::string text;
  for (const Finding& finding : report->findings) text += to_string(finding) + "\n";
  return text;
}

std::string findings_of(const PackFile& file) {
  const auto store = file.store(), metadata = file.metadata();
  return findings(*store, metadata.get(), false);
}

std::string findings_of(DumpRig& rig) {
  MemoryDevice device(rig.store);
  std::unique_ptr<MemoryDevice> metadata;
  if (rig.metadata) metadata = std::make_unique<MemoryDevice>(rig.metadata);
  return findings(device, metadata.get(), true);
}

// The addresses of the blocks in it.
std::vector<std::uint64_t> blocks_in(Device& device) {
  std::vector<std::uint64_t> found;
  std::vector<std::byte> block(kBlockSize);
  for (std::uint64_t b = 0; b < device.size() / kBlockSize; ++b)
    if (read_sync(device, b * kBlockSize, block).ok()) found.push_back(b);
  return found;
}

std::vector<std::byte> block_of(Device& device, std::uint64_t address) {
  std::vector<std::byte> block(kBlockSize);
  REQUIRE(read_sync(device, address * kBlockSize, block).ok());
  return block;
}

// Chunks of the rig hold one number over and over.
bool is_user_data(std::span<const std::byte> block) {
  std::uint64_t first = 0;
  std::memcpy(&first, block.data(), sizeof first);
  for (std::size_t at = 8; at < block.size(); at += 8)
    if (std::memcmp(block.data() + at, &first, 8) != 0) return false;
  return first != 0;
}

}  // namespace

TEST_CASE("A pack has all metadata and no user data") {
  for (const unsigned chunk_shift : {12u, 16u})
    for (const bool separate : {false, true})
      for (const bool killed : {false, true}) {
        INFO("chunks of 2^" << chunk_shift << ", separate " << separate << ", killed " << killed);
        DumpRig rig(options_for(chunk_shift, separate));
        rig.make_history(chunk_shift == 12 ? 300 : 60);
        if (killed)
          rig.kill();
        else
          rig.close();
        const PackFile file = pack_of(rig);
        CHECK(file.uuid() == rig.superblock().uuid);
        CHECK(findings_of(file) == findings_of(rig));
        CHECK(findings_of(file).find("amage") == std::string::npos);
        const auto store = file.store(), metadata = file.metadata();
        CHECK(store->size() == rig.store->size());
        DumpOptions dump_options;
        dump_options.has_data = false;
        std::string text;
        const auto dumped =
            dump_store(*store, metadata.get(), dump_options, [&](std::string_view lines) -> Status {
              text += lines;
              return {};
            });
        CHECK(dumped.ok());
        CHECK(text == rig.dump_text());
        std::uint64_t blocks = 0;
        for (Device* device : {store.get(), metadata.get()}) {
          if (!device) continue;
          for (const std::uint64_t b : blocks_in(*device)) {
            ++blocks;
            if (is_user_data(block_of(*device, b))) FAIL("block " << b << " is user data");
          }
        }
        CHECK(blocks == file.blocks());
      }
}

TEST_CASE("A pack is much smaller than the metadata") {
  DumpRig rig(options_for(12, false));
  rig.make_history(300);
  rig.close();
  Packed packed;
  const auto bytes = pack(rig, &packed);
  REQUIRE(bytes.ok());
  CHECK(packed.unreadable + packed.foreign + packed.damaged == 0);
  CHECK(bytes->size() < packed.blocks * kBlockSize / 4);
}

TEST_CASE("A damaged store is packed with its damage") {
  for (const bool separate : {false, true}) {
    DumpRig rig(options_for(12, separate));
    rig.make_history(300);
    rig.close();
    const Superblock s = rig.superblock();
    REQUIRE(s.tree_levels == 2);
    const auto root = rig.meta().bytes(s.tree_root.value * kBlockSize, kBlockSize);
    const auto flip = [&](BlockAddress block, std::size_t at) {
      auto bytes = rig.meta().bytes(block.value * kBlockSize, kBlockSize);
      bytes[at] ^= std::byte{4};
      rig.meta().poke(block.value * kBlockSize, bytes);
    };
    flip(NodeView(root).child(0), 300);
    flip(s.metadata_space().bitmap, 1000);
    flip(s.snapshots, 2000);
    flip(kSuperblockB, 100);
    const std::string found = findings_of(rig);
    CHECK(found != "");
    CHECK(findings_of(pack_of(rig)) == found);
  }
}

TEST_CASE("What was never written in the journal is not packed") {
  DumpRig rig(options_for(12, false));
  rig.make_history(0);
  rig.close();
  const Superblock s = rig.superblock();
  const std::vector<std::byte> secret(kBlockSize, std::byte{'s'}), zeros(kBlockSize);
  unsigned hidden = 0;
  for (std::uint64_t i = 0; i < s.journal_blocks; ++i) {
    const std::uint64_t at = (s.journal.value + i) * kBlockSize;
    if (rig.store->bytes(at, kBlockSize) != zeros) continue;
    rig.store->poke(at, secret);
    ++hidden;
  }
  REQUIRE(hidden > 0);
  const PackFile file = pack_of(rig);
  const auto store = file.store();
  for (const std::uint64_t b : blocks_in(*store)) CHECK(block_of(*store, b) != secret);
  CHECK(findings_of(file) == "");
}

TEST_CASE("User data is packed only where it says that it is a tree block of this store there") {
  DumpRig rig(options_for(12, false));
  rig.make_history(20);
  rig.close();
  const Superblock s = rig.superblock();
  // Chunks with data, whatever snapshot they are of.
  std::vector<std::uint64_t> data;
  for (std::uint64_t b = s.data.reserved; b < s.data.blocks && data.size() < 4; ++b)
    if (is_user_data(rig.store->bytes(b * kBlockSize, kBlockSize))) data.push_back(b);
  REQUIRE(data.size() == 4);
  const auto imitate = [&](std::uint64_t at, std::uint64_t says, BlockKind kind, const Uuid& uuid) {
    std::vector<std::byte> block(kBlockSize);
    seal_block(block, kind, BlockAddress(says), uuid, Sequence(9));
    rig.store->poke(at * kBlockSize, block);
  };
  imitate(data[0], data[0], BlockKind::leaf, s.uuid);
  imitate(data[1], data[1] + 1, BlockKind::leaf, s.uuid);
  imitate(data[2], data[2], BlockKind::bitmap, s.uuid);
  imitate(data[3], data[3], BlockKind::node, Uuid::from_random(1, 2));
  const PackFile file = pack_of(rig);
  const auto store = file.store();
  std::vector<std::byte> block(kBlockSize);
  CHECK(read_sync(*store, data[0] * kBlockSize, block).ok());
  for (unsigned i = 1; i < 4; ++i) {
    const Status status = read_sync(*store, data[i] * kBlockSize, block);
    CHECK(status.code() == Code::io_error);
    CHECK(status.message().find("is not part of the pack") != std::string::npos);
  }
  CHECK(!write_sync(*store, data[0] * kBlockSize, block).ok());
}

TEST_CASE("Data that was written over a block of metadata is not packed") {
  DumpRig rig(options_for(12, true));
  rig.make_history(300);
  rig.close();
  const Superblock s = rig.superblock();
  const std::vector<std::byte> secret(kBlockSize, std::byte{'s'});
  const std::vector<BlockAddress> hit{kSuperblockB,      s.snapshots, s.clients,  s.data.bitmap,
                                      s.metadata.bitmap, s.checksums, s.tree_root};
  for (const BlockAddress block : hit) rig.meta().poke(block.value * kBlockSize, secret);
  rig.store->poke(kDataLabel.value * kBlockSize, secret);
  Packed packed;
  const auto bytes = pack(rig, &packed);
  REQUIRE(bytes.ok());
  CHECK(packed.foreign == hit.size());  // not the root, but the label
  CHECK(packed.damaged == 0);
  const auto file = open_pack(*bytes);
  REQUIRE(file.ok());
  const auto store = file->store(), metadata = file->metadata();
  for (Device* device : {store.get(), metadata.get()})
    for (const std::uint64_t b : blocks_in(*device)) CHECK(block_of(*device, b) != secret);
  const std::string found = findings_of(*file);
  CHECK(found.find("is not part of the pack") != std::string::npos);
}

TEST_CASE("Damaged blocks are packed and counted") {
  DumpRig rig(options_for(12, false));
  rig.make_history(30);
  rig.close();
  const Superblock s = rig.superblock();
  for (const BlockAddress address : {s.snapshots, s.tree_root}) {
    auto block = rig.store->bytes(address.value * kBlockSize, kBlockSize);
    block[1000] ^= std::byte{1};
    rig.store->poke(address.value * kBlockSize, block);
  }
  Packed packed;
  REQUIRE(pack(rig, &packed).ok());
  CHECK(packed.damaged == 2);
  CHECK(packed.foreign == 0);
}

TEST_CASE("A store without a superblock in either place is packed from the one in the journal") {
  DumpRig rig(options_for(12, false));
  rig.make_history(300);
  rig.kill();
  const std::vector<std::byte> rubbish(kBlockSize, std::byte{0x5a});
  auto torn = rig.store->bytes(kSuperblockA.value * kBlockSize, kBlockSize);
  torn[2000] ^= std::byte{1};
  rig.store->poke(kSuperblockA.value * kBlockSize, torn);
  rig.store->poke(kSuperblockB.value * kBlockSize, rubbish);
  const auto bytes = pack(rig);
  MemoryDevice device(rig.store);
  if (find_superblock_in_journal(device, device).ok())
    CHECK(open_pack(*bytes).ok());
  else
    CHECK(bytes.status().code() == Code::corrupt);
}

TEST_CASE("A pack that was cut off or changed is an error, never a wrong block") {
  DumpRig rig(options_for(12, false));
  rig.make_history(30);
  rig.close();
  const auto bytes = pack(rig);
  REQUIRE(bytes.ok());
  for (std::size_t length = 0; length < bytes->size(); length += 1 + bytes->size() / 300)
    CHECK(!open_pack(bytes->substr(0, length)).ok());
  const auto whole = open_pack(*bytes);
  REQUIRE(whole.ok());
  const auto right = whole->store();
  const auto addresses = blocks_in(*right);
  std::vector<std::byte> block(kBlockSize);
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 rng(seed);
    std::string changed = *bytes;
    const std::size_t at =
        rng() % 3 == 0 ? rng() % changed.size() : changed.size() - 1 - rng() % 600;
    changed[at] = static_cast<char>(changed[at] ^ (1 << rng() % 8));
    const auto file = open_pack(changed);
    if (!file.ok()) continue;
    const auto store = file->store();
    for (std::uint64_t b = rng() % 7; b < addresses.size(); b += 7)
      if (read_sync(*store, addresses[b] * kBlockSize, block).ok())
        REQUIRE(block == block_of(*right, addresses[b]));
  }
}

}  // namespace csnap
