// SPDX-License-Identifier: Apache-2.0
// A tree on a memory device, with an allocator that holds it to its word: nothing is allocated that
// was not ensured, nothing is freed that was not prepared.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <vector>

#include "btree/check.h"
#include "btree/tree.h"
#include "store/memory_device.h"
#include "test/btree/naive.h"

namespace csnap::test {

class CountingAllocator : public BlockAllocator {
 public:
  Status ensure(std::uint64_t n) override {
    if (n > limit) return Status(Code::no_space, "the store is full");
    ensured_ = n;
    return Status();
  }
  BlockAddress allocate_block() override {
    if (ensured_ == 0) throw std::logic_error("allocated more blocks than were ensured");
    --ensured_;
    const BlockAddress address = free_.empty() ? BlockAddress{next_++} : free_.back();
    if (!free_.empty()) free_.pop_back();
    used.insert(address.value);
    return address;
  }
  Status prepare_free(BlockAddress address) override {
    prepared_.insert(address.value);
    return Status();
  }
  void free_block(BlockAddress address) override {
    if (!prepared_.contains(address.value)) throw std::logic_error("freed what was not prepared");
    if (used.erase(address.value) != 1) throw std::logic_error("freed what was not used");
    held_.push_back(address);
  }
  void end_operation() {
    ensured_ = 0;
    prepared_.clear();
  }
  // A checkpoint is complete: what was freed before may be used again.
  void release_held() {
    free_.insert(free_.end(), held_.begin(), held_.end());
    held_.clear();
  }

  std::set<std::uint64_t> used;
  std::uint64_t limit = ~std::uint64_t{0};

 private:
  std::uint64_t next_ = 1000;
  std::uint64_t ensured_ = 0;
  std::vector<BlockAddress> free_, held_;
  std::set<std::uint64_t> prepared_;
};

class TreeFixture {
 public:
  using Change = ExceptionTree::Change;

  explicit TreeFixture(std::size_t cache_bytes = 256u << 20)
      : volume(std::make_shared<MemoryVolume>("memory", 1ULL << 40)),
        device(volume),
        cache(device, Uuid{}, cache_bytes),
        tree(cache, allocator, superblock) {}

  // Runs an operation until no block is missing.
  template <class Operation>
  auto retry(Operation operation) {
    for (;;) {
      auto result = operation();
      const Status status = status_of(result);
      if (status.code() != Code::need_block) return result;
      ++misses;
      const Status fetched = cache.fetch_sync(BlockAddress{status.detail()});
      INFO(fetched.to_string());
      REQUIRE(fetched.ok());
    }
  }

  void prepare(ChunkRun run, Change change) {
    const Status status = retry([&] { return tree.prepare(run, change); });
    INFO(status.to_string());
    REQUIRE(status.ok());
  }
  void insert(ChunkRun run, std::uint64_t store, ShareMask mask) {
    prepare(run, Change::insert);
    tree.insert(run, StoreChunk{store}, mask);
    end_operation();
  }
  std::vector<StoreRun> clear(ChunkRun run, ShareMask bits) {
    std::vector<StoreRun> freed;
    prepare(run, Change::clear);
    tree.clear(run, bits, freed);
    end_operation();
    return freed;
  }
  Mapping lookup(Chunk from, std::uint64_t limit) {
    Mapping mapping;
    REQUIRE(retry([&] { return tree.lookup(from, limit, mapping); }).ok());
    cache.trim();
    return mapping;
  }

  // Writes what is dirty home, as a checkpoint does, so that the cache can give it up.
  void checkpoint() {
    for (const BlockAddress address : cache.freeze(Sequence{++sequence}))
      REQUIRE(write_sync(device, address.value * kBlockSize, cache.frozen_block(address)).ok());
    cache.thaw();
    cache.trim();
    allocator.release_held();
  }

  // Walks the tree; it must be sound, and its blocks be those allocated.
  NaiveMap::Content check(ShareMask allowed = ~ShareMask{0}) {
    NaiveMap map;
    std::set<std::uint64_t> blocks;
    TreeWalk walk;
    walk.read = read_through(cache);
    walk.allowed = allowed;
    walk.on_block = [&](BlockAddress address, BlockKind) { blocks.insert(address.value); };
    walk.on_exception = [&](ChunkRun run, StoreChunk store, ShareMask mask) {
      map.insert(run, store, mask);
    };
    report = check_tree(superblock, walk);
    for (const TreeFinding& finding : report.findings) UNSCOPED_INFO(finding.to_string());
    REQUIRE(report.sound());
    REQUIRE(blocks == allocator.used);
    REQUIRE(superblock.tree_blocks == blocks.size());
    return map.content();
  }

  void end_operation() {
    allocator.end_operation();
    if (cache.dirty() > cache.dirty_limit()) checkpoint();
    cache.trim();
  }

  std::shared_ptr<MemoryVolume> volume;
  MemoryDevice device;
  BlockCache cache;
  CountingAllocator allocator;
  Superblock superblock;
  ExceptionTree tree;
  TreeReport report;
  std::uint64_t sequence = 0;
  std::uint64_t misses = 0;

 private:
  static Status status_of(const Status& status) { return status; }
  template <class T>
  static Status status_of(const Result<T>& result) {
    return result.status();
  }
};

constexpr ChunkRun run_of(std::uint64_t start, std::uint64_t count) {
  return {Chunk{start}, count};
}

}  // namespace csnap::test
