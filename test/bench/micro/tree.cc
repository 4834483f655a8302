// SPDX-License-Identifier: Apache-2.0
// The exception tree, all of it in memory.
#include "btree/tree.h"

#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "store/checksums.h"
#include "store/memory_device.h"
#include "store/space.h"
#include "test/bench/micro/load.h"

namespace csnap::bench {
namespace {

// As many blocks as are wanted, one after another.
class Blocks : public BlockAllocator {
 public:
  Status ensure(std::uint64_t) override { return {}; }
  BlockAddress allocate_block() override { return BlockAddress{next_++}; }
  void free_block(BlockAddress) override {}
  Status prepare_free(BlockAddress) override { return {}; }

 private:
  std::uint64_t next_ = 1000;
};

void must(const Status& status) {
  if (!status.ok()) std::abort();
}

class Tree {
 public:
  Tree() : device_(std::make_shared<MemoryVolume>("memory", 1ULL << 40)) {}

  // Exceptions [next, next + kBatch) of a load; chunk_of() says where they are.
  template <class ChunkOf>
  void insert_batch(ChunkOf chunk_of) {
    std::array<ChunkRun, kBatch> runs;
    for (std::size_t i = 0; i < kBatch; ++i) runs[i] = {Chunk{chunk_of(size_ + i)}, 1};
    for (std::size_t i = 0; i < kBatch; ++i) {
      const ChunkRun run = runs[i];
      if (i % ExceptionTree::kWarmAtOnce == 0) tree_.warm(std::span(runs).subspan(i));
      must(tree_.prepare(run, ExceptionTree::Change::insert));
      tree_.insert(run, StoreChunk{size_}, mask_of(size_));
      ++size_;
    }
  }

  std::uint64_t size() const { return size_; }
  const ExceptionTree& tree() const { return tree_; }
  double bytes_per_exception() const {
    return static_cast<double>(superblock_.tree_blocks * kBlockSize) / static_cast<double>(size_);
  }

 private:
  MemoryDevice device_;
  BlockCache cache_{device_, Uuid{}, 16ULL << 30};
  Blocks allocator_;
  Superblock superblock_;
  ExceptionTree tree_{cache_, allocator_, superblock_};
  std::uint64_t size_ = 0;
};

void report(benchmark::State& state, const Tree& tree) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
  // Beside the tree: a CRC-32C for each exception's data, and the bit of its chunk and of each
  // block of the tree.
  constexpr double kChecksum = double{kBlockSize} / kChecksumsPerBlock;
  constexpr double kBit = double{kBlockSize} / kBitsPerBitmapBlock;
  const double bytes = tree.bytes_per_exception();
  state.counters["tree_bytes"] = bytes;
  state.counters["all_bytes"] = bytes + kChecksum + kBit * (1 + bytes / kBlockSize);
}

// warm: all of a batch are known before the first is looked up.
template <bool warm>
void lookup_random(benchmark::State& state) {
  const Tree& tree = full<Tree, random_chunk>();
  Choices choices;
  std::array<ChunkRun, kBatch> runs;
  Mapping mapping;
  for (auto _ : state) {
    for (ChunkRun& run : runs) run = {Chunk{choices.next()}, 1};
    for (std::size_t i = 0; i < kBatch; ++i) {
      if (warm && i % ExceptionTree::kWarmAtOnce == 0) tree.tree().warm(std::span(runs).subspan(i));
      must(tree.tree().lookup(runs[i].start, runs[i].count, mapping));
      if (mapping.count != 1) std::abort();
    }
  }
  report(state, tree);
}

void insert_random(benchmark::State& state) {
  Tree& tree = full<Tree, random_chunk>();
  for (auto _ : state) tree.insert_batch(random_chunk);
  report(state, tree);
}

// Ascending chunks at ascending places: what a first sequential overwrite leaves. Each by itself.
void insert_sequential(benchmark::State& state) {
  static const auto tree = [] {
    auto made = std::make_unique<Tree>();
    while (made->size() < exceptions) made->insert_batch([](std::uint64_t i) { return i; });
    return made;
  }();
  for (auto _ : state) tree->insert_batch([](std::uint64_t i) { return i; });
  report(state, *tree);
}

BENCHMARK(lookup_random<true>)->Name("tree/lookup/random")->Iterations(4000);
BENCHMARK(lookup_random<false>)->Name("tree/lookup/one_by_one")->Iterations(4000);
BENCHMARK(insert_random)->Name("tree/insert/random")->Iterations(2000);
BENCHMARK(insert_sequential)->Name("tree/insert/sequential")->Iterations(4000);

}  // namespace
}  // namespace csnap::bench
