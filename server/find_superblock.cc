// SPDX-License-Identifier: Apache-2.0
// The superblock is among the images of every checkpoint: so the journal has a copy of it, or
// several.
#include <algorithm>
#include <optional>
#include <tuple>

#include "server/recovery.h"
#include "server/repair.h"
#include "store/aligned_buffer.h"

namespace csnap {
namespace {

constexpr std::uint64_t kReadBlocks = 256;

bool newer(const Superblock& a, const Superblock& b) {
  const auto age = [](const Superblock& s) {
    return std::tuple(s.checkpoint, s.epoch, s.tail.sequence);
  };
  return age(a) > age(b);
}

// An image of a superblock lies in the journal that the superblock speaks of.
bool lies_in_its_journal(const Superblock& s, std::uint64_t block) {
  return block >= s.journal.value && block < s.journal.value + s.journal_blocks;
}

// The newest in the blocks from `from` to `to`; stops at the first if `first`.
std::optional<Superblock> scan(Device& device, std::uint64_t from, std::uint64_t to, bool first) {
  AlignedBuffer buffer(kReadBlocks * kBlockSize);
  std::optional<Superblock> best;
  for (std::uint64_t at = from; at < to; at += kReadBlocks) {
    const std::uint64_t count = std::min(kReadBlocks, to - at);
    const auto piece = buffer.span().first(count * kBlockSize);
    if (!read_sync(device, at * kBlockSize, piece).ok()) continue;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto block = piece.subspan(i * kBlockSize, kBlockSize);
      if (kind_of(block) != BlockKind::superblock) continue;
      auto found = decode_superblock(block, kSuperblockA);
      if (!found.ok() || !lies_in_its_journal(*found, at + i)) continue;
      if (!best || newer(*found, *best)) best = std::move(*found);
      if (first) return best;
    }
  }
  return best;
}

}  // namespace

Result<Superblock> find_superblock_in_journal(Device& store, Device& metadata) {
  const std::uint64_t blocks = metadata.size() / kBlockSize;
  auto found = scan(metadata, 2, blocks, true);
  if (found)
    found = scan(metadata, found->journal.value,
                 std::min(blocks, found->journal.value + found->journal_blocks), false);
  if (!found) return Status(Code::not_found, "no other copy of it was found");
  // It counts only if all of its checkpoint is there: else the homes may be those of a newer one.
  auto recovery = Recovery::survey(store, metadata, *found);
  if (!recovery.ok() || !recovery->checkpoint())
    return Status(Code::not_found, "the checkpoint of the one in the journal is not whole");
  found->epoch = std::max(found->epoch, recovery->last_epoch());
  found->clean = false;
  return *found;
}

}  // namespace csnap
