// SPDX-License-Identifier: Apache-2.0
// Telling a damaged journal from one that ends: what lies behind the end is looked at.
#include <algorithm>

#include "journal/journal.h"
#include "journal/journal_format.h"
#include "store/aligned_buffer.h"

namespace csnap {
namespace {

constexpr std::uint64_t kPieceBlocks = 256;  // 1 MiB

}  // namespace

Result<std::optional<LaterCommit>> find_later_commit(Device& device, JournalLayout layout,
                                                     const Uuid& store, JournalPosition tail,
                                                     JournalPosition head, Epoch at_least) {
  using Found = std::optional<LaterCommit>;
  std::uint64_t left = (tail.block + layout.blocks - head.block) % layout.blocks;
  if (left == 0) left = layout.blocks;
  AlignedBuffer buffer(std::min(left, kPieceBlocks) * kBlockSize);
  for (std::uint64_t at = head.block; left > 0;) {
    const std::uint64_t count = std::min({left, kPieceBlocks, layout.blocks - at});
    const auto piece = buffer.span().first(count * kBlockSize);
    Status read = read_sync(device, (layout.base + at).value * kBlockSize, piece);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto block = piece.subspan(i * kBlockSize, kBlockSize);
      const BlockAddress address = layout.base + at + i;
      // A block that cannot be read says nothing; its neighbours may.
      if (!read.ok() && !read_sync(device, address.value * kBlockSize, block).ok()) continue;
      const std::uint64_t sequence = view_as<BlockHeader>(block).sequence.get();
      if (sequence <= head.sequence.value || kind_of(block) != BlockKind::commit) continue;
      const Epoch epoch(view_as<CommitHeader>(block.subspan(sizeof(BlockHeader))).epoch.get());
      if (epoch < at_least || !check_block(block, BlockKind::commit, address, store).ok()) continue;
      return Found(LaterCommit{{at + i, Sequence(sequence)}, epoch});
    }
    left -= count;
    at = (at + count) % layout.blocks;
  }
  return Found();
}

}  // namespace csnap
