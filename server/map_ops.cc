// SPDX-License-Identifier: Apache-2.0
// What a map of the store is made of: the tree leaf by leaf, and what layout and bitmap say.
#include <algorithm>
#include <utility>

#include "server/data_ops.h"

namespace csnap {
namespace {

constexpr std::size_t kLeavesAhead = 64;
// Of one page, so that a turn stays short.
constexpr std::uint64_t kBlocksLookedAt = 4 * kBitsPerBitmapBlock;

// An op of the administration that gathers one page.
template <class Page>
class PageOp : public Op {
 public:
  PageOp(Engine::Impl& engine, std::size_t limit, std::function<void(Result<Page>)> done)
      : Op(engine), limit_(limit), done_(std::move(done)) {}

 protected:
  void fail(const Status& status) override {
    finish();
    if (!silent()) done_(status);
  }
  void answer() {
    finish();
    done_(std::move(page_));
  }
  void refuse(const Status& status) {
    if (status.code() == Code::need_block) return wait_for_block(status);
    fail(status);
  }

  const std::size_t limit_;
  Page page_;

 private:
  void finish() {
    end();
    engine_.admin_ops.erase(shared_from_this());
  }
  std::function<void(Result<Page>)> done_;
};

class TreeDump : public PageOp<Engine::TreePage> {
 public:
  TreeDump(Engine::Impl& engine, Chunk from, std::size_t limit,
           std::function<void(Result<Engine::TreePage>)> done)
      : PageOp(engine, limit, std::move(done)) {
    page_.next = from;
    page_.entries.reserve(limit + kMaxLeafEntries);
  }

 protected:
  void advance() override {
    const Superblock& s = std::as_const(*engine_.state).superblock();
    const auto more = [&] { return s.tree_levels > 0 && page_.next.value < kMaxChunks; };
    do {
      if (!more()) break;
      if (const Status status = take_leaf(s); !status.ok()) return refuse(status);
    } while (page_.entries.size() < limit_);
    page_.more = more();
    answer();
  }

 private:
  // The leaf of the next chunk, and those above it that begin with it.
  Status take_leaf(const Superblock& s) {
    std::vector<Engine::TreeBlock> way;
    Engine::TreeBlock at{s.tree_root, s.tree_levels - 1, {Chunk(0), kMaxChunks}, 0};
    for (; at.level > 0; --at.level) {
      CSNAP_ASSIGN(const ConstBlock block, engine_.state->cache().read(at.block, BlockKind::node));
      const NodeView node(block);
      if (node.level() != at.level)
        return Status(Code::corrupt, "tree block " + std::to_string(at.block.value) +
                                         " is of another level than its parent says");
      if (way.empty()) at.mask = node.mask_union();
      way.push_back(at);
      const unsigned i = node.find(page_.next);
      const Chunk from = i == 0 ? at.keys.start : node.key(i);
      const Chunk to = i + 1 == node.entries() ? at.keys.end() : node.key(i + 1);
      if (at.level == 1) note_next(node, i + 1);
      at = {node.child(i), at.level, {from, to - from}, node.mask(i)};
    }
    const auto found = engine_.state->cache().read(at.block, BlockKind::leaf);
    if (found.status().code() == Code::need_block) read_ahead();
    CSNAP_ASSIGN(const ConstBlock block, found);
    const LeafView leaf(block);
    if (way.empty()) at.mask = leaf.mask_union();
    for (const Engine::TreeBlock& node : way)
      if (node.keys.start == page_.next) page_.blocks.push_back(node);
    page_.blocks.push_back(at);
    for (unsigned i = leaf.lower_bound(page_.next); i < leaf.entries(); ++i)
      page_.entries.push_back(leaf.entry(i));
    page_.next = at.keys.end();
    return {};
  }
  // The leaves that will be wanted next: one after the other would wait for the disk each time. No
  // more than the cache has room for beside everything else.
  void note_next(const NodeView& node, unsigned from) {
    const std::size_t most = std::min(kLeavesAhead, engine_.state->cache().capacity() / 8);
    next_leaves_.clear();
    for (unsigned i = from; i < node.entries() && next_leaves_.size() < most; ++i)
      next_leaves_.push_back(node.child(i));
  }
  // A block that cannot be read is an error when it is its turn.
  void read_ahead() {
    for (const BlockAddress leaf : next_leaves_)
      engine_.state->cache().fetch(leaf, [](const Status&) {});
  }

  std::vector<BlockAddress> next_leaves_;
};

class SpaceMap : public PageOp<Engine::SpacePage> {
 public:
  SpaceMap(Engine::Impl& engine, std::uint64_t from, std::size_t limit,
           std::function<void(Result<Engine::SpacePage>)> done)
      : PageOp(engine, limit, std::move(done)), from_(from) {}

 protected:
  void advance() override {
    const Superblock& s = std::as_const(*engine_.state).superblock();
    const std::uint64_t end = s.store_chunks() * s.blocks_per_chunk();
    if (from_ >= end) return fail(Status(Code::out_of_range, "the store ends before that block"));
    page_.areas.clear();
    list_pools();
    std::uint64_t at = from_;
    for (const StoreArea& area : fixed_areas(s)) {
      if (area.end() <= at || page_.areas.size() == limit_) continue;
      page_.areas.push_back({at, area.end() - at, area.use});
      at = area.end();
    }
    const std::uint64_t until = std::min(end, at + kBlocksLookedAt);
    while (at < until && page_.areas.size() < limit_) {
      // What lies within a chunk counts as all of it does.
      const StoreChunk chunk(at / s.blocks_per_chunk());
      const auto use = use_of(chunk);
      if (!use.ok()) return refuse(use.status());
      const std::uint64_t next = (chunk.value + 1) * s.blocks_per_chunk();
      add({at, next - at, *use});
      at = next;
    }
    page_.more = at < end;
    answer();
  }

 private:
  Result<StoreUse> use_of(StoreChunk chunk) {
    Space& data = engine_.state->data();
    CSNAP_ASSIGN(const bool used, data.is_used(chunk));
    if (used) return StoreUse::used;
    if (!data.is_held(chunk)) return StoreUse::free;
    const auto after =
        std::upper_bound(pools_.begin(), pools_.end(), chunk,
                         [](StoreChunk at, const StoreRun& pool) { return at < pool.start; });
    return after != pools_.begin() && (after - 1)->contains(chunk) ? StoreUse::pool
                                                                   : StoreUse::held;
  }
  void list_pools() {
    pools_.clear();
    for (const ClientEntry& client : std::as_const(*engine_.state).clients().all())
      for (const StoreRun& pool : client.pools)
        if (pool.count > 0) pools_.push_back(pool);
    std::sort(pools_.begin(), pools_.end(),
              [](const StoreRun& a, const StoreRun& b) { return a.start < b.start; });
  }
  void add(StoreArea area) {
    if (!page_.areas.empty() && page_.areas.back().use == area.use &&
        page_.areas.back().end() == area.start)
      page_.areas.back().count += area.count;
    else
      page_.areas.push_back(area);
  }

  const std::uint64_t from_;     // block
  std::vector<StoreRun> pools_;  // ascending
};

template <class PageOpKind>
void begin_page(Engine::Impl& engine, const std::shared_ptr<PageOpKind>& op) {
  engine.admin_ops.insert(op);
  op->run();
}

}  // namespace

void start_dump_tree(Engine::Impl& engine, Chunk from, std::size_t limit,
                     std::function<void(Result<Engine::TreePage>)> done) {
  begin_page(engine, std::make_shared<TreeDump>(engine, from, limit, std::move(done)));
}

void start_map_space(Engine::Impl& engine, std::uint64_t from, std::size_t limit,
                     std::function<void(Result<Engine::SpacePage>)> done) {
  begin_page(engine, std::make_shared<SpaceMap>(engine, from, limit, std::move(done)));
}

}  // namespace csnap
