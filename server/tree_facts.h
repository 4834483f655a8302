// SPDX-License-Identifier: Apache-2.0
// What a scan of the tree found out: what it uses, and what is wrong with it. For the report and
// for the repair. Threading: the device's thread; blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "server/chunk_set.h"
#include "server/tree_scan.h"
#include "store/tables.h"

namespace csnap {

// A block that is not what it should be. What lay at it and below it is lost to who comes down the
// tree: it is somewhere among ref.keys, for somebody in ref.mask.
struct BadBlock {
  TreeRef ref;
  unsigned level = 0;
  std::string what;
};

struct WrongMask {
  TreeRef ref;
  unsigned level = 0;
  ShareMask found = 0;
};

// A run of exceptions that cannot be right.
struct BadException {
  enum class Why : std::uint8_t {
    outside_store,
    beyond_origin,
    used_twice,  // its store chunks have more than one owner
    bad_data,    // the data there does not have its checksum
  };
  Why why = Why::outside_store;
  BlockAddress leaf;
  ChunkRun chunks;
  StoreChunk store;
  ShareMask mask = 0;
};

struct TreeFacts {
  ChunkSet chunks;                   // of the store, that hold exceptions
  std::vector<BlockAddress> blocks;  // of the tree: sorted, each once
  std::uint64_t leaves = 0, nodes = 0, entries = 0, exceptions = 0, lost_chunks = 0;

  std::vector<BadBlock> bad;
  std::vector<WrongMask> masks;
  std::vector<BadException> exceptions_bad;
  std::vector<BlockAddress> blocks_twice;  // leaves with two parents
  std::vector<StoreRun> chunks_twice;      // in exceptions of two owners
  struct Bits {
    ShareMask bits = 0;
    std::uint64_t entries = 0;
    BlockAddress first;  // leaf
    Chunk chunk;
  };
  Bits foreign;                // of no snapshot
  Bits leftover;               // of a snapshot being deleted, below where its deletion has come
  std::uint64_t more_bad = 0;  // exceptions that were not written down one by one

  bool sound() const;
};

// Makes one of runs that touch. REQUIRES: sorted by start.
void merge_runs(std::vector<StoreRun>& runs);

TreeFacts gather_tree(BlockReader& reader, const Superblock& superblock,
                      const SnapshotTable& snapshots,
                      const std::function<void(std::uint64_t)>& progress = {});

// Walks the tree again and adds to exceptions_bad whose chunks these are. REQUIRES: runs are
// sorted.
void find_owners(BlockReader& reader, const Superblock& superblock,
                 const std::vector<StoreRun>& runs, BadException::Why why, TreeFacts& facts);

}  // namespace csnap
