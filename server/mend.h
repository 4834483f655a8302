// SPDX-License-Identifier: Apache-2.0
// Makes a state whole again: what is damaged is cut out of the tree, what can be had back is, and
// what is lost is marked as lost, so that it never reads as the origin. All in memory: the changed
// blocks are dirty in the state's cache, and must come to the disk together. In one checkpoint: a
// half of it would not know any more what the other half was to mark as lost.
// Threading: the device's thread; blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/check_reader.h"
#include "server/check_space.h"
#include "server/store_state.h"
#include "server/tree_facts.h"

namespace csnap {

// What is to be mended.
struct Wounds {
  TreeFacts tree;
  bool snapshot_table = false;  // entries of it are lost
  bool client_table = false;
  std::vector<BlockAddress> checksum_blocks;  // that cannot be read
  // Copied chunks that a journal cannot be trusted for.
  std::vector<std::pair<ChunkRun, ShareMask>> lost;
};

// What was done, for the report.
struct Mended {
  std::uint64_t blocks_cut = 0;          // of the tree
  std::uint64_t leaves_saved = 0;        // that nothing led to any more
  std::uint64_t exceptions_saved = 0;    // chunks in them
  std::uint64_t exceptions_cleared = 0;  // runs that could not be right
  std::uint64_t chunks_rotten = 0;       // whose data did not have its checksum
  std::uint64_t masks_corrected = 0;     // in nodes
  std::uint64_t bits_cleared = 0;        // entries with bits of snapshots that are not there
  std::uint64_t bitmap_blocks = 0, checksum_blocks = 0;
  std::uint64_t blocks_reclaimed = 0;                // leaks
  std::vector<std::string> recovered;                // snapshots that lost their names
  std::vector<std::pair<ChunkRun, ShareMask>> lost;  // marked as lost now

  void add(const Mended& more);
};

class Mender {
 public:
  Mender(StoreState& state, Device& metadata);
  // no_space when there is no room for the marks of what is lost.
  Status mend(Wounds& wounds);
  // A record of the journal met what mend() made: what is marked as lost was not, for the record
  // proves that there was nothing, and a bit of no snapshot had a name once (name_bits).
  Status make_way(const ExceptionAdded& record, bool name_bits);
  const Mended& done() const { return done_; }

 private:
  struct Step {
    BlockAddress node;
    unsigned index = 0;
  };
  using Way = std::vector<Step>;

  template <class F>
  Status edit(F&& function) {
    CSNAP_TRY(state_.with_blocks(function));
    state_.cache().trim();
    return {};
  }
  // mend.cc: the tree
  Result<Way> way_to(Chunk key, unsigned level);
  Status raise_masks(const Way& way, std::size_t depth);
  Status lower_first_keys(BlockAddress at, unsigned level, Chunk key,
                          const std::vector<BadBlock>& bad);
  Status cut(const BadBlock& bad, const std::vector<BadBlock>& others);
  // False: nothing leads to the bad block any more.
  Result<bool> replace(const BadBlock& bad, const NodeEntry& by, unsigned level);
  Status cut_and_correct(const TreeFacts& tree);
  Status correct_mask(const WrongMask& wrong);
  Status lose(ChunkRun run, ShareMask mask);
  Status clear(ChunkRun run, ShareMask mask);
  Status clear_bits(ShareMask bits, Chunk end);
  Status drop_exceptions(const TreeFacts& tree);
  Status name_snapshots(ShareMask bits);
  // mend_space.cc
  Status mend_bitmaps(const TreeFacts& tree, bool exact);
  Status mend_space(SpaceLayout& space, const TreeFacts& tree, bool data, bool blocks, bool exact);
  Status mend_checksums(const std::vector<BlockAddress>& blocks);
  Status settle_counts();
  // salvage.cc
  Status salvage(TreeFacts& tree, bool name_bits);
  friend class Salvage;

  StoreState& state_;
  BlockReader reader_;
  bool bitmaps_lost_ = false;  // some could not be read
  Mended done_;
};

}  // namespace csnap
