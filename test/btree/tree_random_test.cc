// SPDX-License-Identifier: Apache-2.0
// The tree against its twin under random events.
#include <catch2/catch.hpp>

#include "btree/tree.h"
#include "test/btree/tree_fixture.h"

using namespace csnap;
using namespace csnap::test;

namespace {

struct Profile {
  const char* name;
  std::uint64_t span;     // chunks
  std::uint64_t longest;  // run
  unsigned bits;
  int events;
  std::size_t cache_bytes;
  unsigned clear_percent;
};

class RandomLoad {
 public:
  RandomLoad(const Profile& profile, std::uint64_t seed)
      : profile_(profile), rng_(seed), tree_(profile.cache_bytes) {}

  void run() {
    for (int event = 0; event < profile_.events; ++event) {
      // Waves: the tree grows to several levels and shrinks again.
      const bool shrinking = event / (profile_.events / 7) % 3 == 2;
      const unsigned clears = shrinking ? 70 : profile_.clear_percent;
      const unsigned dice = static_cast<unsigned>(rng_() % 100);
      if (dice < clears)
        clear(shrinking);
      else if (dice < clears + 3)
        move();
      else if (dice < clears + 6)
        insert_batch();
      else
        insert();
      compare_somewhere();
      most_levels = std::max(most_levels, tree_.tree.levels());
      if (event % (profile_.events / 8) == 0) REQUIRE(tree_.check() == twin_.content());
    }
    REQUIRE(tree_.check() == twin_.content());
    compare_iteration();
    empty();
  }

  std::uint32_t most_levels = 0;
  std::uint64_t misses() const { return tree_.misses; }

 private:
  ChunkRun some_run() {
    const std::uint64_t length = rng_() % 4 == 0 ? 1 + rng_() % profile_.longest : 1 + rng_() % 3;
    return run_of(rng_() % profile_.span, length);
  }

  ShareMask some_mask(ChunkRun run) {
    const ShareMask all = profile_.bits == 64 ? ~ShareMask{0} : (ShareMask{1} << profile_.bits) - 1;
    const ShareMask left = all & ~twin_.masks_in(run);
    const ShareMask some = left & rng_();
    return some != 0 ? some : left;
  }

  void insert() { insert(some_run()); }

  // Ascending, all known before the first: what a sequential load is. Some of them join.
  void insert_batch() {
    std::vector<ChunkRun> batch;
    std::uint64_t at = rng_() % profile_.span;
    for (unsigned i = 0; i < 40; ++i, at += 1 + rng_() % 2) batch.push_back(run_of(at, 1));
    tree_.tree.warm(batch);
    for (const ChunkRun& run : batch) insert(run);
  }

  void insert(ChunkRun run) {
    const ShareMask mask = some_mask(run);
    if (mask == 0) return;
    if (rng_() % 2) store_ += 100;
    tree_.insert(run, store_, mask);
    twin_.insert(run, StoreChunk{store_}, mask);
    store_ += run.count;
  }

  void clear(bool wide) {
    ChunkRun run = some_run();
    if (wide && rng_() % 4 == 0) run.count = 1 + rng_() % (profile_.span / 16);
    ShareMask bits = rng_() & rng_();
    if (wide) bits |= rng_();
    REQUIRE(chunks_of(tree_.clear(run, bits)) == twin_.clear(run, bits));
  }

  // What a write to a snapshot does: out of the old exception, into a new one, in one step.
  void move() {
    const ChunkRun run = some_run();
    const ShareMask bit = mask_of_bit(static_cast<unsigned>(rng_() % profile_.bits));
    tree_.prepare(run, ExceptionTree::Change::both);
    std::vector<StoreRun> freed;
    tree_.tree.clear(run, bit, freed);
    tree_.tree.insert(run, StoreChunk{store_}, bit);
    tree_.end_operation();
    REQUIRE(chunks_of(freed) == twin_.clear(run, bit));
    twin_.insert(run, StoreChunk{store_}, bit);
    store_ += run.count;
  }

  static NaiveMap::Stack stack_of(const Mapping& mapping, std::uint64_t skip) {
    NaiveMap::Stack stack;
    for (unsigned i = 0; i < mapping.count; ++i)
      stack[mapping.exceptions[i].mask] = mapping.exceptions[i].store.value + skip;
    return stack;
  }

  void compare_somewhere() {
    const Chunk from{rng_() % profile_.span};
    const std::uint64_t limit = 1 + rng_() % 20;
    const Mapping mapping = tree_.lookup(from, limit);
    REQUIRE(mapping.chunks.start == from);
    REQUIRE(mapping.chunks.count >= 1);
    REQUIRE(mapping.chunks.count <= limit);
    ShareMask shared = 0;
    for (unsigned i = 0; i < mapping.count; ++i) {
      REQUIRE((i == 0 || mapping.exceptions[i - 1].mask < mapping.exceptions[i].mask));
      shared |= mapping.exceptions[i].mask;
    }
    REQUIRE(mapping.shared == shared);
    for (std::uint64_t i = 0; i < mapping.chunks.count; ++i)
      REQUIRE(stack_of(mapping, i) == twin_.at(from + i));
  }

  void compare_iteration() {
    NaiveMap map;
    Chunk at{0};
    for (;;) {
      const auto next = tree_.retry([&] { return tree_.tree.next_mapping(at); });
      REQUIRE(next.ok());
      if (!next->has_value()) break;
      const Mapping& mapping = **next;
      REQUIRE(mapping.chunks.start >= at);
      for (unsigned i = 0; i < mapping.count; ++i)
        map.insert(mapping.chunks, mapping.exceptions[i].store, mapping.exceptions[i].mask);
      at = mapping.chunks.end();
      tree_.cache.trim();
    }
    REQUIRE(map.content() == twin_.content());
  }

  void empty() {
    const ChunkRun all = run_of(0, kMaxChunks);
    REQUIRE(chunks_of(tree_.clear(all, ~ShareMask{0})) == twin_.clear(all, ~ShareMask{0}));
    REQUIRE(tree_.tree.levels() == 0);
    REQUIRE(tree_.superblock.tree_blocks == 0);
    REQUIRE(tree_.allocator.used.empty());
  }

  const Profile profile_;
  std::mt19937_64 rng_;
  TreeFixture tree_;
  NaiveMap twin_;
  std::uint64_t store_ = 1;
};

}  // namespace

TEST_CASE("a tree under random events equals a map") {
  const Profile profile =
      GENERATE(Profile{"one leaf", 60, 8, 3, 20000, 1 << 20, 45},
               Profile{"deep stacks", 300, 40, 64, 12000, 1 << 20, 20},
               Profile{"long runs", 30000, 256, 6, 16000, 1 << 20, 20},
               Profile{"many masks", 8000, 20, 64, 16000, 1 << 20, 10},
               Profile{"wide, cache of 64 blocks", 1000000, 30, 8, 60000, 1 << 18, 4});
  const auto seed = GENERATE(1u, 2u);
  INFO(profile.name << ", seed " << seed);
  RandomLoad load(profile, seed);
  load.run();
  if (profile.cache_bytes == 1 << 18) CHECK(load.misses() > 1000);
  if (profile.span > 1000) CHECK(load.most_levels >= 2);
}
