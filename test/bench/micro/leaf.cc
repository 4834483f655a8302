// SPDX-License-Identifier: Apache-2.0
// One leaf, in the processor's cache.
#include "btree/leaf.h"

#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "test/bench/micro/load.h"

namespace csnap::bench {
namespace {

constexpr unsigned kEntries = 200;  // as many as a leaf of a random load has
constexpr ChunkRun kKeys{Chunk{0}, 5000};

constexpr Chunk chunk_at(unsigned i) {
  return Chunk{kKeys.count * (i * 77 % kEntries) / kEntries};
}

struct Leaf {
  alignas(kBlockSize) std::array<std::byte, kBlockSize> bytes{};
  Leaf() {
    leaf_init(bytes);
    for (unsigned i = 0; i < kEntries; ++i) put(i);
  }
  void put(unsigned i) {
    if (leaf_insert(bytes, {chunk_at(i), 1}, StoreChunk{1000 + i}, mask_of(i)) != 1) std::abort();
  }
};

void find(benchmark::State& state) {
  const Leaf leaf;
  const LeafView view(leaf.bytes);
  unsigned i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(view.find(chunk_at(i), kKeys));
    i = i + 1 == kEntries ? 0 : i + 1;
  }
}

// Clears an exception and puts it back.
void clear_and_insert(benchmark::State& state) {
  Leaf leaf;
  std::vector<StoreRun> freed;
  unsigned i = 0;
  for (auto _ : state) {
    freed.clear();
    if (!leaf_clear(leaf.bytes, {chunk_at(i), 1}, ~ShareMask{0}, freed)) std::abort();
    leaf.put(i);
    i = i + 1 == kEntries ? 0 : i + 1;
  }
}

// Fills an empty leaf in random order.
void insert(benchmark::State& state) {
  for (auto _ : state) {
    const Leaf leaf;
    benchmark::DoNotOptimize(leaf.bytes.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kEntries));
}

BENCHMARK(find)->Name("leaf/find");
BENCHMARK(insert)->Name("leaf/insert");
BENCHMARK(clear_and_insert)->Name("leaf/clear_and_insert");

}  // namespace
}  // namespace csnap::bench
