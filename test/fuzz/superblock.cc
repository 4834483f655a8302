// SPDX-License-Identifier: Apache-2.0
// Superblocks that say anything, under a right checksum.
//   u8 flags, patches over a good superblock, then, with flag 8, patches that only copy B has.
#include <array>

#include "test/fuzz/store_rig.h"

using namespace csnap;

namespace {

constexpr unsigned kLargeChunks = 1, kSeparateMetadata = 2, kWholeBlock = 4, kOwnB = 8;
using Block = std::array<std::byte, kBlockSize>;

void look_at(const Block& block, BlockAddress address) {
  const auto decoded = decode_superblock(block, address);
  if (!decoded.ok()) return;
  Block again{};
  encode_superblock(*decoded, address, again);
  const auto twice = decode_superblock(again, address);
  fuzz::require_ok(twice.status(), "a superblock written again");
  fuzz::require(*twice == *decoded, "a superblock written again is the same");
}

}  // namespace

FUZZ_TARGET(superblock) {
  const unsigned flags = input.u8();
  const Superblock good = fuzz::plan((flags & kLargeChunks) ? 16 : kMinChunkShift,
                                     (flags & kSeparateMetadata) ? fuzz::kStoreSize : 0);
  Block a{}, b{};
  encode_superblock(good, kSuperblockA, a);
  const auto payload = std::span(a).subspan(sizeof(BlockHeader));
  if (flags & kWholeBlock)
    input.fill(payload);
  else
    input.patch(payload);
  b = a;
  if (flags & kOwnB) input.patch(std::span(b).subspan(sizeof(BlockHeader)));
  seal_block(a, BlockKind::superblock, kSuperblockA, good.uuid, good.checkpoint);
  seal_block(b, BlockKind::superblock, kSuperblockB, good.uuid, good.checkpoint);
  look_at(a, kSuperblockA);
  look_at(b, kSuperblockB);

  auto volume = (flags & kLargeChunks) ? std::make_shared<MemoryVolume>("store", fuzz::kStoreSize)
                                       : fuzz::new_store();
  volume->poke(kSuperblockA.value * kBlockSize, a);
  volume->poke(kSuperblockB.value * kBlockSize, b);
  MemoryDevice device(volume);
  const auto read = read_superblock(device);
  if (!read.ok()) return;
  (void)check_superblock_copies(device).ok();
  if (read->separate_metadata) {
    MemoryDevice data(std::make_shared<MemoryVolume>("data", fuzz::kStoreSize));
    (void)check_devices(*read, data, &device).ok();
  } else if (check_devices(*read, device, nullptr).ok()) {
    fuzz::check_recovered(volume);
  }
}
