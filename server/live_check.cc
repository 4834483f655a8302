// SPDX-License-Identifier: Apache-2.0
#include "server/live_check.h"

#include <algorithm>
#include <utility>

namespace csnap {
namespace {

std::string name_of(BlockKind kind, BlockAddress block) {
  return std::string(kind_name(kind)) + " block " + std::to_string(block.value);
}

std::string range(ChunkRun run) {
  const std::string first = std::to_string(run.start.value);
  if (run.count == 1) return "chunk " + first;
  return "chunks " + first + " to " + std::to_string(run.end().value - 1);
}

}  // namespace

LiveCheck::LiveCheck(StoreState& state, bool data, std::function<ShareMask()> allowed)
    : state_(state), data_(data), allowed_(std::move(allowed)) {
  seen_.resize(state.superblock().store_chunks() / 64 + 1);
  state_.watch(this);
}

LiveCheck::~LiveCheck() {
  state_.watch(nullptr);
}

void LiveCheck::damage(std::string what, ChunkRun chunks, ShareMask mask) {
  findings_.push_back({true, std::move(what), chunks, mask});
}

double LiveCheck::progress() const {
  const Superblock& s = state_.superblock();
  const auto part = [](std::uint64_t of, std::uint64_t whole) {
    return whole == 0 ? 1.0 : std::min(1.0, static_cast<double>(of) / static_cast<double>(whole));
  };
  switch (phase_) {
    case Phase::fixed:
      return 0;
    case Phase::tree:
      return 0.9 * part(cursor_.value, s.origin_chunks());
    case Phase::bitmaps:
      return metadata_space_ ? 0.95 : 0.9 + 0.05 * part(group_, s.data.bitmap_ready);
    case Phase::checksums:
      return 0.95 + 0.05 * part(checksum_, s.checksums_ready);
    case Phase::done:
      break;
  }
  return 1;
}

// -- what changes meanwhile -----------------------------------------------------------------------

void LiveCheck::see(StoreChunk c) {
  seen_[c.value / 64] |= std::uint64_t{1} << (c.value % 64);
  ++seen_count_;
}

void LiveCheck::added(ChunkRun chunks, StoreRun store) {
  for (std::uint64_t i = 0; i < chunks.count && chunks.start + i < cursor_; ++i)
    if (!seen(store.start + i)) see(store.start + i);
}

void LiveCheck::freed(StoreRun store) {
  for (StoreChunk c = store.start; c < store.end(); ++c) {
    if (!seen(c)) continue;
    seen_[c.value / 64] &= ~(std::uint64_t{1} << (c.value % 64));
    --seen_count_;
  }
}

bool LiveCheck::in_bitmaps_passed(BlockAddress block) const {
  if (phase_ > Phase::bitmaps) return true;
  if (phase_ < Phase::bitmaps) return false;
  if (state_.superblock().separate_metadata && !metadata_space_) return false;
  return block.value / kBitsPerBitmapBlock < group_;
}

void LiveCheck::tree_block_added(BlockAddress block) {
  if (tree_.insert(block).second && in_bitmaps_passed(block)) ++tree_used_;
}

void LiveCheck::tree_block_freed(BlockAddress block) {
  if (tree_.erase(block) > 0 && in_bitmaps_passed(block)) --tree_used_;
}

// -- the copies on disk ---------------------------------------------------------------------------

void LiveCheck::want(BlockAddress block, BlockKind kind, Wants& wants) {
  if (!state_.cache().is_ahead(block)) wants.blocks.emplace_back(block, kind);
}

void LiveCheck::on_disk(BlockAddress block, BlockKind kind, const Status& status) {
  ++counters_.blocks;
  if (status.ok() || bad_.contains(block)) return;
  std::string text = name_of(kind, block) + ", as it is on disk: " + status.message();
  const bool in_memory = state_.cache().read(block, kind).ok();
  if (in_memory && (kind == BlockKind::leaf || kind == BlockKind::node))
    text += "; what is in memory is sound, and goes on serving until it is needed from the disk";
  damage(std::move(text));
}

void LiveCheck::data_failed(ChunkRun chunk, StoreChunk store, const Status& status) {
  Mapping mapping;
  ShareMask mask = 0;
  if (state_.tree().lookup(chunk.start, 1, mapping).ok())
    for (unsigned i = 0; i < mapping.count; ++i)
      if (mapping.exceptions[i].store == store) mask = mapping.exceptions[i].mask;
  const auto known = state_.checksums().get(store);
  if (known.status().code() == Code::need_block)
    return bad_block(
        BlockKind::checksums, BlockAddress(known.status().detail()),
        status.message() + "; the data of the chunks that it is about was not looked at");
  if (mask == 0) return;  // overwritten meanwhile
  damage("data: " + (status.code() == Code::corrupt ? "store chunk " + std::to_string(store.value) +
                                                          " does not have its checksum"
                                                    : status.message()),
         chunk, mask);
}

void LiveCheck::bad_block(BlockKind kind, BlockAddress block, const std::string& why) {
  if (bad_.insert(block).second) damage(name_of(kind, block) + ": " + why);
}

Result<std::optional<bool>> LiveCheck::counts_as_used(StoreChunk c) const {
  const auto used = state_.data().is_used(c);
  if (used.ok()) return std::optional(*used);
  const Status& why = used.status();
  if (why.code() == Code::need_block && !bad_.contains(BlockAddress(why.detail()))) return why;
  return std::optional<bool>();
}

void LiveCheck::unreadable(BlockAddress block, const Status& why) {
  if (phase_ != Phase::tree || block != missing_) {
    bad_block(BlockKind::bitmap, block, why.message());
    if (phase_ == Phase::bitmaps) ++group_;
    return;
  }
  whole_ = false;
  const Chunk end = std::min(missing_keys_.end(), Chunk(state_.superblock().origin_chunks()));
  const ChunkRun lost{missing_keys_.start,
                      std::max(end, missing_keys_.start) - missing_keys_.start};
  damage("tree block " + std::to_string(block.value) + ": " + why.message(), lost, missing_mask_);
  cursor_ = missing_keys_.end();
}

// -- steps ----------------------------------------------------------------------------------------

Status LiveCheck::step(Wants& wants) {
  switch (phase_) {
    case Phase::fixed:
      step_fixed(wants);
      return {};
    case Phase::tree:
      return step_tree(wants);
    case Phase::bitmaps:
      return step_bitmaps(wants);
    case Phase::checksums:
      step_checksums(wants);
      return {};
    case Phase::done:
      break;
  }
  return {};
}

void LiveCheck::step_fixed(Wants& wants) {
  const Superblock& s = state_.superblock();
  for (const BlockAddress block : {kSuperblockA, kSuperblockB})
    want(block, BlockKind::superblock, wants);
  for (std::uint64_t i = 0; i < s.snapshot_blocks; ++i)
    want(s.snapshots + i, BlockKind::snapshots, wants);
  for (std::uint64_t i = 0; i < s.client_blocks; ++i)
    want(s.clients + i, BlockKind::clients, wants);
  phase_ = Phase::tree;
}

// One leaf.
Status LiveCheck::step_tree(Wants& wants) {
  if (state_.superblock().tree_levels == 0 || cursor_.value >= kMaxChunks) {
    cursor_ = Chunk(kMaxChunks);
    phase_ = Phase::bitmaps;
    return {};
  }
  ConstBlock leaf;
  CSNAP_TRY(descend(leaf, wants));
  if (leaf.empty()) return {};  // something on the way was bad, and has been passed
  return visit_leaf(leaf, wants);
}

// Finds the leaf for cursor_. Leaves its key range and mask in missing_keys_ and missing_mask_.
Status LiveCheck::descend(ConstBlock& leaf, Wants& wants) {
  const Superblock& s = state_.superblock();
  missing_ = s.tree_root;
  missing_keys_ = {Chunk(0), kMaxChunks};
  missing_mask_ = allowed_();
  bool mask_known = false;
  for (unsigned level = s.tree_levels; level-- > 0;) {
    const BlockKind kind = level == 0 ? BlockKind::leaf : BlockKind::node;
    const auto block = state_.cache().read(missing_, kind);
    if (block.status().code() == Code::need_block) return block.status();
    const auto sound = [&]() -> Status {
      CSNAP_TRY(block.status());
      const ShareMask below =
          level == 0 ? LeafView(*block).mask_union() : NodeView(*block).mask_union();
      if (level > 0 && NodeView(*block).level() != level)
        return Status(Code::corrupt, "it is of another level");
      if (mask_known && below != missing_mask_)
        return Status(Code::corrupt, "its masks are not those that its parent says");
      return {};
    }();
    if (!sound.ok()) {
      unreadable(missing_, sound);
      return {};
    }
    if (tree_.insert(missing_).second) want(missing_, kind, wants);
    if (level == 0) {
      leaf = *block;
      return {};
    }
    const NodeView node(*block);
    const unsigned i = node.find(cursor_);
    const Chunk from = i == 0 ? missing_keys_.start : node.key(i);
    const Chunk to = i + 1 == node.entries() ? missing_keys_.end() : node.key(i + 1);
    missing_ = node.child(i);
    missing_keys_ = {from, to - from};
    missing_mask_ = node.mask(i);
    mask_known = true;
  }
  return {};
}

Status LiveCheck::visit_leaf(ConstBlock block, Wants& wants) {
  const LeafView leaf(block);
  const unsigned n = leaf.entries();
  // Nothing is noted before every bitmap block that it takes is in memory.
  for (unsigned i = 0; i < n; ++i) {
    const LeafEntry e = leaf.entry(i);
    if (is_lost(e.store) || (e.store + e.length).value > state_.superblock().store_chunks())
      continue;
    for (std::uint32_t c = 0; c < e.length; ++c) {
      CSNAP_TRY(counts_as_used(e.store + c).status());
    }
  }
  if (n > 0 && (leaf.chunk(0) < missing_keys_.start || leaf.end(n - 1) > missing_keys_.end())) {
    unreadable(missing_, Status(Code::corrupt, "chunks outside its range"));
    return {};
  }
  for (unsigned i = 0; i < n; ++i) CSNAP_TRY(visit_entry(leaf.entry(i), wants));
  cursor_ = missing_keys_.end();
  return {};
}

Status LiveCheck::visit_entry(const LeafEntry& e, Wants& wants) {
  const Superblock& s = state_.superblock();
  const ChunkRun run{e.chunk, e.length};
  if (e.mask & ~allowed_()) damage(range(run) + ": shared with a snapshot that is not there", run);
  if (is_lost(e.store)) {
    counters_.lost += e.length;
    return {};
  }
  if (e.store < s.first_chunk() || (e.store + e.length).value > s.store_chunks()) {
    damage(range(run) + ": lie outside the store", run, e.mask);
    return {};
  }
  for (std::uint32_t c = 0; c < e.length; ++c) {
    const StoreChunk store = e.store + c;
    CSNAP_ASSIGN(const auto used, counts_as_used(store));
    const std::string where = "store chunk " + std::to_string(store.value);
    if (used && !*used)
      damage(where + " holds an exception and counts as free", {e.chunk + c, 1}, e.mask);
    if (seen(store))
      damage(where + " holds two exceptions", {e.chunk + c, 1}, e.mask);
    else
      see(store);
  }
  counters_.exceptions += e.length;
  if (data_) {
    wants.data.emplace_back(run, e.store);
    counters_.data += e.length;
  }
  return {};
}

// One bitmap block.
Status LiveCheck::step_bitmaps(Wants& wants) {
  const Superblock& s = state_.superblock();
  const SpaceLayout& space = metadata_space_ ? s.metadata : s.data;
  if (group_ >= space.bitmap_ready) {
    if (s.separate_metadata && !metadata_space_) {
      metadata_space_ = true;
      group_ = 0;
      return {};
    }
    phase_ = Phase::checksums;
    return {};
  }
  const BlockAddress address = space.bitmap + group_;
  CSNAP_ASSIGN(const ConstBlock block, state_.cache().read(address, BlockKind::bitmap));
  const auto bits = block.subspan(sizeof(BlockHeader));
  const std::uint64_t first = group_ * kBitsPerBitmapBlock;
  for (std::size_t byte = 0; byte < bits.size(); ++byte) {
    if (bits[byte] == std::byte{0}) continue;
    for (unsigned bit = 0; bit < 8; ++bit)
      if ((bits[byte] >> bit & std::byte{1}) != std::byte{0} &&
          first + byte * 8 + bit < space.blocks)
        look_at_bit(first + byte * 8 + bit, !metadata_space_);
  }
  want(address, BlockKind::bitmap, wants);
  ++group_;
  return {};
}

// A block that counts as used.
void LiveCheck::look_at_bit(std::uint64_t block, bool in_data) {
  const Superblock& s = state_.superblock();
  if (block < (in_data ? s.data : s.metadata).reserved) return;
  if (in_data && seen(StoreChunk(block / s.blocks_per_chunk()))) return;
  const bool may_be_tree = in_data != s.separate_metadata;
  if (may_be_tree && tree_.contains(BlockAddress(block))) {
    ++tree_used_;
    return;
  }
  ++counters_.leaked;
}

void LiveCheck::step_checksums(Wants& wants) {
  constexpr std::uint64_t kAtOnce = 64;
  const Superblock& s = state_.superblock();
  for (std::uint64_t i = 0; i < kAtOnce && checksum_ < s.checksums_ready; ++i)
    want(s.checksums + checksum_++, BlockKind::checksums, wants);
  if (checksum_ >= s.checksums_ready) finish();
}

void LiveCheck::finish() {
  phase_ = Phase::done;
  const Superblock& s = state_.superblock();
  if (!whole_) {
    // What lies below blocks that could not be read belongs to somebody.
    counters_.leaked = 0;
    return;
  }
  const auto compare = [this](const char* what, std::uint64_t said, std::uint64_t found) {
    if (said != found)
      damage(std::string("the superblock counts ") + std::to_string(said) + " " + what + ", " +
             std::to_string(found) + " were found");
  };
  compare("exceptions", s.exceptions, seen_count_);
  compare("tree blocks", s.tree_blocks, tree_.size());
  if (tree_used_ != tree_.size() && bad_.empty())
    damage(std::to_string(tree_.size() - tree_used_) + " tree blocks count as free");
  if (counters_.leaked > 0)
    findings_.push_back({false,
                         std::to_string(counters_.leaked) +
                             " blocks of 4 KiB count as used and belong to nobody; csnap-check "
                             "--repair gives them back",
                         {},
                         0});
}

}  // namespace csnap
