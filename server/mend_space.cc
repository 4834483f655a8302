// SPDX-License-Identifier: Apache-2.0
// Bitmaps, checksums and counts, from what the tree says.
#include <algorithm>
#include <array>
#include <cstring>

#include "server/mend.h"
#include "store/bits.h"

namespace csnap {

// exact: what nothing uses becomes free; else it stays in use.
Status Mender::mend_bitmaps(const TreeFacts& tree, bool exact) {
  Superblock& s = state_.superblock();
  CSNAP_TRY(mend_space(s.data, tree, true, !s.separate_metadata, exact));
  if (s.separate_metadata) CSNAP_TRY(mend_space(s.metadata, tree, false, true, exact));
  state_.data().bitmaps_changed();
  state_.metadata().bitmaps_changed();
  return {};
}

Status Mender::mend_space(SpaceLayout& space, const TreeFacts& tree, bool data, bool blocks,
                          bool exact) {
  const SpaceFacts facts =
      check_space(reader_, space, tree, data, blocks, [](std::uint64_t, std::uint64_t) {});
  const ExpectedBits expected(space, tree, data, blocks);
  std::array<std::byte, kBlockPayload> bits;
  const auto write = [&](std::uint64_t group, MutableBlock block, bool keep) {
    const auto payload = block.subspan(sizeof(BlockHeader));
    expected.fill(group, bits, [](std::uint64_t) {});
    for (std::uint64_t w = 0; w < kBlockPayload / 8; ++w)
      store_word(payload, w, load_word(bits, w) | (keep ? load_word(payload, w) : 0));
    ++done_.bitmap_blocks;
  };
  bitmaps_lost_ |= !facts.unreadable.empty();
  for (const std::uint64_t group : facts.unreadable)
    if (const Status status = edit([&]() -> Status {
          write(group, state_.cache().create(space.bitmap + group, BlockKind::bitmap), false);
          return {};
        });
        !status.ok())
      return status;
  if (facts.missing_blocks > 0 || exact)
    for (const std::uint64_t group : facts.differing)
      if (const Status status = edit([&]() -> Status {
            CSNAP_ASSIGN(const MutableBlock block,
                         state_.cache().edit(space.bitmap + group, BlockKind::bitmap));
            write(group, block, !exact);
            return {};
          });
          !status.ok())
        return status;
  if (!facts.unwritten.empty())
    for (; space.bitmap_ready <= facts.unwritten.back();)
      if (const Status status = edit([&]() -> Status {
            const std::uint64_t group = space.bitmap_ready;
            write(group, state_.cache().create(space.bitmap + group, BlockKind::bitmap), false);
            ++space.bitmap_ready;
            return {};
          });
          !status.ok())
        return status;
  if (exact) done_.blocks_reclaimed += facts.leaked_blocks;
  return {};
}

Status Mender::mend_checksums(const std::vector<BlockAddress>& blocks) {
  for (const BlockAddress block : blocks) {
    ++done_.checksum_blocks;
    if (const Status status = edit([&]() -> Status {
          state_.cache().create(block, BlockKind::checksums);
          return {};
        });
        !status.ok())
      return status;
  }
  return {};
}

// Once the tree is as it will be.
Status Mender::settle_counts() {
  Superblock& s = state_.superblock();
  const TreeFacts tree = gather_tree(reader_, s, std::as_const(state_).snapshots());
  CSNAP_TRY(mend_bitmaps(tree, true));
  s.exceptions = tree.exceptions;
  s.tree_blocks = tree.leaves + tree.nodes;
  const auto count = [&](SpaceLayout& space, bool data, bool blocks) {
    const SpaceFacts facts =
        check_space(reader_, space, tree, data, blocks, [](std::uint64_t, std::uint64_t) {});
    space.free_blocks = facts.free_blocks;
    space.free_chunks = facts.free_chunks;
  };
  count(s.data, true, !s.separate_metadata);
  if (s.separate_metadata) count(s.metadata, false, true);
  return {};
}

}  // namespace csnap
