// SPDX-License-Identifier: Apache-2.0
#include "server/tree_facts.h"

#include <algorithm>

namespace csnap {
namespace {

// What is written down of exceptions one by one is bounded; there may be as many bad ones as good.
constexpr std::size_t kMaxWrittenDown = 100'000;

class Gatherer : public TreeVisitor {
 public:
  Gatherer(const Superblock& superblock, const SnapshotTable& snapshots, TreeFacts& out)
      : first_(superblock.first_chunk().value),
        end_(superblock.store_chunks()),
        origin_(superblock.origin_chunks()),
        allowed_(snapshots.active() | snapshots.deleting()),
        snapshots_(snapshots),
        out_(out) {}

  void node(const TreeRef& ref, unsigned) override {
    ++out_.nodes;
    out_.blocks.push_back(ref.block);
  }
  void bad(const TreeRef& ref, unsigned level, const std::string& what) override {
    out_.bad.push_back({ref, level, what});
  }
  void wrong_mask(const TreeRef& ref, unsigned level, ShareMask found) override {
    out_.masks.push_back({ref, level, found});
  }
  void leaf(const TreeRef& ref, LeafView leaf) override {
    ++out_.leaves;
    out_.blocks.push_back(ref.block);
    const unsigned n = leaf.entries();
    out_.entries += n;
    const ShareMask bits = leaf.mask_union();
    if ((bits & ~allowed_) | (bits & snapshots_.deleting())) look_at_bits(ref, leaf);
    if (leaf.end(n - 1).value > origin_) look_beyond_origin(ref, leaf);
    for (unsigned i = 0; i < n; ++i) {
      const StoreChunk store = leaf.store(i);
      const std::uint32_t length = leaf.length(i);
      if (store.value < first_ || store.value + length > end_) {
        elsewhere(ref, leaf.entry(i));
        continue;
      }
      out_.exceptions += length;
      if (out_.chunks.overlaps({store, length})) add_twice({store, length});
      out_.chunks.insert({store, length});
    }
  }

 private:
  void add(BadException::Why why, const TreeRef& ref, const LeafEntry& entry) {
    if (out_.exceptions_bad.size() < kMaxWrittenDown)
      out_.exceptions_bad.push_back(
          {why, ref.block, {entry.chunk, entry.length}, entry.store, entry.mask});
    else
      ++out_.more_bad;
  }
  void add_twice(StoreRun run) {
    for (StoreChunk chunk = run.start; chunk < run.end(); ++chunk) {
      if (!out_.chunks.contains(chunk)) continue;
      if (out_.chunks_twice.size() < kMaxWrittenDown)
        out_.chunks_twice.push_back({chunk, 1});
      else
        ++out_.more_bad;
    }
  }
  void elsewhere(const TreeRef& ref, const LeafEntry& entry) {
    if (entry.store == lost_store(entry.chunk))
      out_.lost_chunks += entry.length;
    else
      add(BadException::Why::outside_store, ref, entry);
  }
  void look_beyond_origin(const TreeRef& ref, LeafView leaf) {
    for (unsigned i = 0, n = leaf.entries(); i < n; ++i)
      if (leaf.end(i).value > origin_) add(BadException::Why::beyond_origin, ref, leaf.entry(i));
  }
  void look_at_bits(const TreeRef& ref, LeafView leaf) {
    for (unsigned i = 0, n = leaf.entries(); i < n; ++i) {
      const LeafEntry entry = leaf.entry(i);
      note(out_.foreign, entry.mask & ~allowed_, ref, entry);
      for (const Snapshot& snapshot : snapshots_.all())
        if (snapshot.deleting && entry.chunk < snapshot.deleted_up_to)
          note(out_.leftover, entry.mask & mask_of_bit(snapshot.bit), ref, entry);
    }
  }
  static void note(TreeFacts::Bits& bits, ShareMask found, const TreeRef& ref,
                   const LeafEntry& entry) {
    if (found == 0) return;
    if (bits.entries++ == 0) {
      bits.first = ref.block;
      bits.chunk = entry.chunk;
    }
    bits.bits |= found;
  }

  const std::uint64_t first_, end_, origin_;  // chunks
  const ShareMask allowed_;
  const SnapshotTable& snapshots_;
  TreeFacts& out_;
};

class OwnerFinder : public TreeVisitor {
 public:
  OwnerFinder(const std::vector<StoreRun>& runs, BadException::Why why, TreeFacts& out)
      : runs_(runs), why_(why), out_(out) {}
  void node(const TreeRef&, unsigned) override {}
  void bad(const TreeRef&, unsigned, const std::string&) override {}
  void wrong_mask(const TreeRef&, unsigned, ShareMask) override {}
  void leaf(const TreeRef& ref, LeafView leaf) override {
    for (unsigned i = 0, n = leaf.entries(); i < n; ++i) look_at(ref, leaf.entry(i));
  }

 private:
  void look_at(const TreeRef& ref, const LeafEntry& entry) {
    const StoreChunk end = entry.store + entry.length;
    auto run =
        std::upper_bound(runs_.begin(), runs_.end(), entry.store,
                         [](StoreChunk chunk, const StoreRun& r) { return chunk < r.end(); });
    for (; run != runs_.end() && run->start < end; ++run) {
      const StoreChunk from = std::max(run->start, entry.store);
      const StoreChunk to = std::min(run->end(), end);
      if (out_.exceptions_bad.size() < kMaxWrittenDown)
        out_.exceptions_bad.push_back(
            {why_, ref.block, {entry.chunk + (from - entry.store), to - from}, from, entry.mask});
      else
        ++out_.more_bad;
    }
  }

  const std::vector<StoreRun>& runs_;
  const BadException::Why why_;
  TreeFacts& out_;
};

}  // namespace

void merge_runs(std::vector<StoreRun>& runs) {
  std::size_t kept = 0;
  for (const StoreRun& run : runs) {
    if (kept > 0 && run.start <= runs[kept - 1].end())
      runs[kept - 1].count = std::max(runs[kept - 1].end(), run.end()) - runs[kept - 1].start;
    else
      runs[kept++] = run;
  }
  runs.resize(kept);
}

bool TreeFacts::sound() const {
  return bad.empty() && masks.empty() && exceptions_bad.empty() && blocks_twice.empty() &&
         chunks_twice.empty() && foreign.entries == 0 && leftover.entries == 0 && more_bad == 0;
}

TreeFacts gather_tree(BlockReader& reader, const Superblock& superblock,
                      const SnapshotTable& snapshots,
                      const std::function<void(std::uint64_t)>& progress) {
  TreeFacts facts;
  facts.chunks = ChunkSet(superblock.store_chunks());
  // It can grow; what is there now is known well enough.
  facts.blocks.reserve(std::min<std::uint64_t>(superblock.tree_blocks, 1u << 20));
  Gatherer gatherer(superblock, snapshots, facts);
  TreeScan(reader, superblock, snapshots.active() | snapshots.deleting(), gatherer).run(progress);

  std::sort(facts.blocks.begin(), facts.blocks.end());
  const auto twice = [&](auto i) { return std::adjacent_find(i, facts.blocks.end()); };
  for (auto i = twice(facts.blocks.begin()); i != facts.blocks.end(); i = twice(i + 1))
    facts.blocks_twice.push_back(*i);
  facts.blocks.erase(std::unique(facts.blocks.begin(), facts.blocks.end()), facts.blocks.end());
  std::sort(facts.chunks_twice.begin(), facts.chunks_twice.end(),
            [](const StoreRun& a, const StoreRun& b) { return a.start < b.start; });
  merge_runs(facts.chunks_twice);
  return facts;
}

void find_owners(BlockReader& reader, const Superblock& superblock,
                 const std::vector<StoreRun>& runs, BadException::Why why, TreeFacts& facts) {
  OwnerFinder finder(runs, why, facts);
  TreeScan(reader, superblock, ~ShareMask{0}, finder).run();
}

}  // namespace csnap
