// SPDX-License-Identifier: Apache-2.0
#include "test/check/check_rig.h"

#include <catch2/catch.hpp>

#include "btree/node.h"

namespace csnap {

RigOptions CheckRig::default_options() {
  RigOptions options;
  options.origin_chunks = 2000;
  options.store_bytes = 32u << 20;
  return options;
}

CheckRig::CheckRig(RigOptions with, bool history) : Rig(with) {
  if (!history) return;
  open();
  std::mt19937_64 rng(with.seed);
  std::uint64_t tag = 1;
  for (const char* name : {"monday", "tuesday", "sunday"}) {
    REQUIRE(write_origin_now({Chunk(0), with.origin_chunks}, tag++).ok());
    REQUIRE(create(name).ok());
    for (int i = 0; i < 600; ++i)
      REQUIRE(write_origin_now({Chunk(rng() % with.origin_chunks), 1}, tag++).ok());
  }
  close();
}

CheckReport CheckRig::check(bool data) {
  CheckOptions check_options;
  check_options.data = data;
  return check(check_options);
}

CheckReport CheckRig::check(const CheckOptions& check_options) {
  MemoryDevice device(store);
  std::unique_ptr<MemoryDevice> metadata_device;
  if (metadata) metadata_device = std::make_unique<MemoryDevice>(metadata);
  const std::uint64_t writes =
      store->counters().writes + (metadata ? metadata->counters().writes : 0);
  auto report = csnap::check_store(device, metadata_device.get(), check_options);
  REQUIRE(store->counters().writes + (metadata ? metadata->counters().writes : 0) == writes);
  if (!report.ok()) FAIL(report.status().to_string());
  return std::move(*report);
}

Result<RepairReport> CheckRig::repair(bool data, bool copy) {
  MemoryDevice device(store);
  std::unique_ptr<MemoryDevice> metadata_device;
  if (metadata) metadata_device = std::make_unique<MemoryDevice>(metadata);
  RepairOptions repair_options;
  repair_options.check.data = data;
  repair_options.holder = "a test";
  repair_options.copy = copy;
  return repair_store(device, metadata_device.get(), repair_options);
}

std::map<SnapshotId, std::set<std::uint64_t>> CheckRig::read_everything() {
  std::map<SnapshotId, std::set<std::uint64_t>> lost;
  open();
  for (const auto& info : engine().list()) {
    if (info.snapshot.deleting) continue;
    const SnapshotId id = info.snapshot.id;
    for (std::uint64_t c = 0; c < options.origin_chunks; ++c) {
      bool told = false;
      read_snapshot(id, {Chunk(c), 1}, [&](const Status& status) {
        if (status.code() == Code::lost) lost[id].insert(c);
        if (!status.ok() && status.code() != Code::lost) FAIL(status.to_string());
        told = true;
      });
      until([&] { return told; });
    }
  }
  close();
  CHECK(mismatches() == 0);
  return lost;
}

Superblock CheckRig::superblock() {
  MemoryDevice device(metadata ? metadata : store);
  auto superblock = read_superblock(device);
  REQUIRE(superblock.ok());
  return *superblock;
}

void CheckRig::flip(BlockAddress at_block, std::size_t at) {
  auto bytes = block(at_block);
  bytes[at] ^= std::byte{0x10};
  meta().poke(at_block.value * kBlockSize, bytes);
}

void CheckRig::change(BlockAddress at_block, const std::function<void(MutableBlock)>& edit) {
  auto bytes = block(at_block);
  edit(bytes);
  seal_checksum(bytes);
  meta().poke(at_block.value * kBlockSize, bytes);
}

std::vector<std::byte> CheckRig::block(BlockAddress address) {
  return meta().bytes(address.value * kBlockSize, kBlockSize);
}

BlockAddress CheckRig::leaf(unsigned n) {
  const Superblock s = superblock();
  REQUIRE(s.tree_levels == 2);
  const auto root = block(s.tree_root);
  return NodeView(root).child(n);
}

std::string text_of(const CheckReport& report) {
  std::string text;
  for (const Finding& finding : report.findings)
    text += std::string(severity_name(finding.severity)) + ": " + to_string(finding) + "\n";
  return text;
}

bool mentions(const CheckReport& report, const std::string& text) {
  return text_of(report).find(text) != std::string::npos;
}

}  // namespace csnap
