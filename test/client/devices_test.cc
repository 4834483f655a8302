// SPDX-License-Identifier: Apache-2.0
#include "client/devices.h"

#include <catch2/catch.hpp>

#include "store/aligned_buffer.h"
#include "store/memory_device.h"
#include "store/superblock.h"

namespace csnap {
namespace {

struct Disk {
  std::shared_ptr<MemoryVolume> volume = std::make_shared<MemoryVolume>("disk", 8u << 20, 512);
  MemoryDevice device{volume};
  Superblock superblock;

  Disk() { superblock.uuid = Uuid::from_random(1, 2); }
  void put(BlockAddress address) {
    AlignedBuffer block(kBlockSize);
    encode_superblock(superblock, address, block.span());
    volume->poke(address.value * kBlockSize, block.span());
  }
};

}  // namespace

TEST_CASE("a device that holds another store, or none, is not taken for the server's") {
  Disk disk;
  CHECK(check_is_store(disk.device, disk.superblock.uuid).code() == Code::invalid);
  disk.put(kSuperblockA);
  disk.put(kSuperblockB);
  CHECK(check_is_store(disk.device, Uuid::from_random(3, 4)).code() == Code::invalid);
  CHECK(check_is_store(disk.device, disk.superblock.uuid).ok());
}

TEST_CASE("a store is known by either superblock, or by its label") {
  Disk disk;
  SECTION("the second") {
    disk.put(kSuperblockB);
  }
  SECTION("a label") {
    AlignedBuffer block(kBlockSize);
    encode_data_label(disk.superblock, block.span());
    disk.volume->poke(kDataLabel.value * kBlockSize, block.span());
  }
  CHECK(check_is_store(disk.device, disk.superblock.uuid).ok());
}

}  // namespace csnap
