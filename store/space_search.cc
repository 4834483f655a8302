// SPDX-License-Identifier: Apache-2.0
// Finding free chunks and blocks. A search visits bitmap blocks in order from the cursor, passes
// over those of which it is known that nothing can be taken there, and stops at the first that has
// something; so it finds whatever there is, and asks for a bitmap block only when nothing nearer
// was found.
#include <algorithm>
#include <cassert>

#include "store/bits.h"
#include "store/growth.h"
#include "store/space.h"

namespace csnap {
namespace {

constexpr std::uint64_t kGroupBits = kBitsPerBitmapBlock;

// How many runs a search looks at before it is content with the longest so far: a bound on the
// work in a store of many small holes.
constexpr unsigned kRunsLooked = 64;

// Metadata blocks are taken out of stretches this long, so that they do not cut the space for data
// into pieces of a block.
constexpr std::uint64_t kExtentBlocks = 64;

template <class Words>
std::uint64_t find(const Words& words, std::uint64_t from, bool value) {
  return find_bit([&](std::uint64_t w) { return words[w]; }, from, kGroupBits, value);
}

// Calls f(from, to) for the runs of clear bits from `from` on, until it returns false.
template <class Words, class F>
void for_each_clear_run(const Words& words, std::uint64_t from, F f) {
  while (true) {
    const std::uint64_t a = find(words, from, false);
    if (a >= kGroupBits) return;
    const std::uint64_t b = find(words, a, true);
    if (!f(a, b)) return;
    from = b;
  }
}

// The first run of `wanted` whole chunks, else the longest of the first few; {0, 0} if none.
template <class Words>
std::pair<std::uint64_t, std::uint64_t> best_run(const Words& words, std::uint64_t from,
                                                 std::uint64_t wanted, std::uint64_t per_chunk) {
  std::pair<std::uint64_t, std::uint64_t> best{0, 0};
  unsigned looked = 0;
  for_each_clear_run(words, from, [&](std::uint64_t a, std::uint64_t b) {
    a = (a + per_chunk - 1) / per_chunk * per_chunk;
    b = b / per_chunk * per_chunk;
    if (a >= b) return true;
    if (b - a > best.second - best.first) best = {a, b};
    return best.second - best.first < wanted * per_chunk && ++looked < kRunsLooked;
  });
  best.second = std::min(best.second, best.first + wanted * per_chunk);
  return best;
}

// The first clear bit in a chunk that has others set; kGroupBits if none.
template <class Words>
std::uint64_t find_loose(const Words& words, std::uint64_t per_chunk) {
  std::uint64_t found = kGroupBits;
  if (per_chunk == 1) return found;
  for_each_clear_run(words, 0, [&](std::uint64_t a, std::uint64_t b) {
    if (a % per_chunk != 0) {
      found = a;
    } else if (b % per_chunk != 0) {
      found = b / per_chunk * per_chunk;
    }
    return found == kGroupBits;
  });
  return found;
}

}  // namespace

void Space::mark_busy(BlockRange range) {
  for (View* view : {&data_view_, &metadata_view_}) {
    if (view->group == kNoGroup) continue;
    const std::uint64_t base = view->group * kGroupBits;
    const std::uint64_t from = std::max(range.from, base);
    const std::uint64_t to = std::min(range.to, base + kGroupBits);
    if (from >= to) continue;
    for_each_word(from - base, to - base,
                  [&](std::uint64_t w, std::uint64_t mask) { view->words[w] |= mask; });
  }
}

void Space::mark_idle(BlockRange range) {
  for (View* view : {&data_view_, &metadata_view_}) {
    if (view->group == kNoGroup) continue;
    const std::uint64_t base = view->group * kGroupBits;
    const std::uint64_t from = std::max({range.from, base, layout_.reserved});
    const std::uint64_t to = std::min(range.to, base + kGroupBits);
    if (from >= to) continue;
    for_each_word(from - base, to - base,
                  [&](std::uint64_t w, std::uint64_t mask) { view->words[w] &= ~mask; });
  }
}

// Makes the view one of this bitmap block.
Status Space::look_at(View& view, std::uint64_t group) {
  if (view.group == group) return {};
  CSNAP_ASSIGN(const auto bits, bits_of(group));
  view.group = group;
  for (std::size_t w = 0; w < view.words.size(); ++w) view.words[w] = load_word(bits, w);
  const std::uint64_t base = group * kGroupBits;
  const auto set = [&](std::uint64_t from, std::uint64_t to) {
    for_each_word(from - base, to - base,
                  [&](std::uint64_t w, std::uint64_t mask) { view.words[w] |= mask; });
  };
  avoid_.for_each(base, base + kGroupBits,
                  [&](std::uint64_t from, std::uint64_t to, AvoidSet::Fill) { set(from, to); });
  // Whatever a damaged bitmap says of these.
  set(base, std::clamp(layout_.reserved, base, base + kGroupBits));
  set(std::clamp(layout_.blocks, base, base + kGroupBits), base + kGroupBits);
  if (find_loose(view.words, per_chunk()) < kGroupBits) loose_.insert(group);
  return {};
}

// As look_at(), and the bitmap block itself is in memory: a block found there can be marked.
Status Space::look_for_block(std::uint64_t group) {
  CSNAP_TRY(bits_of(group).status());
  return look_at(metadata_view_, group);
}

// Finds, from the cursor on, and moves the cursor behind what it found. no_space: there is none.
Result<Space::BlockRange> Space::find_chunks(std::uint64_t wanted) {
  const std::uint64_t groups = layout_.bitmap_blocks;
  std::uint64_t from = std::max(layout_.cursor, layout_.reserved);
  if (from >= layout_.blocks) from = layout_.reserved;
  if (from >= layout_.blocks) return Status(Code::no_space, "the store is full");
  // The first bitmap block is begun in the middle, so it is visited again at the end.
  for (std::uint64_t i = 0; i <= groups; ++i) {
    const std::uint64_t group = from / kGroupBits;
    const std::uint64_t base = group * kGroupBits;
    layout_.cursor = from;
    if (!(hints(group) & kNoChunk)) {
      CSNAP_TRY(look_at(data_view_, group));
      const auto [a, b] = best_run(data_view_.words, from - base, wanted, per_chunk());
      if (a < b) {
        layout_.cursor = base + b;
        return BlockRange{base + a, base + b};
      }
      if (from == base) hints(group) |= kNoChunk;
    }
    from = group + 1 < groups ? base + kGroupBits : 0;
  }
  return Status(Code::no_space, "the store is full: no free chunk is left");
}

Result<StoreRun> Space::reserve_chunks(std::uint64_t wanted, std::uint64_t leave) {
  assert(wanted > 0);
  const std::uint64_t n = per_chunk();
  std::uint64_t spare = spare_blocks();
  if ((spare < leave || spare - leave < n) && avoid_.unknown_blocks() > 0) {
    CSNAP_TRY(learn_all());
    spare = spare_blocks();
  }
  if (spare < leave || spare - leave < n)
    return Status(Code::no_space, "the store is full: " + std::to_string(spare) +
                                      " blocks are free, " + std::to_string(leave) +
                                      " of them kept for metadata");
  wanted = std::min({wanted, (spare - leave) / n, kGroupBits / n});
  CSNAP_ASSIGN(const BlockRange range, find_chunks(wanted));
  avoid(range, AvoidSet::Fill::free);
  return StoreRun{StoreChunk(range.from / n), (range.to - range.from) / n};
}

Status Space::ensure(std::uint64_t n) {
  while (picks_.size() < n) {
    const auto block = pick_block();
    if (!block.ok()) {
      // After a miss what was picked is kept: the caller comes again for the rest.
      if (block.status().code() == Code::no_space) give_picks_back();
      return block.status();
    }
    CSNAP_TRY(grow_area(cache_, BlockKind::bitmap, layout_.bitmap, layout_.bitmap_ready,
                        *block / kGroupBits + 1));
    avoid({*block, *block + 1}, AvoidSet::Fill::free);
    picks_.push_back(*block);
  }
  for (std::uint64_t i = 0; i < n; ++i) CSNAP_TRY(bits_of(picks_[i] / kGroupBits).status());
  return {};
}

void Space::give_picks_back() {
  for (const std::uint64_t block : picks_) unavoid({block, block + 1});
  picks_.clear();
}

Result<std::uint64_t> Space::pick_block() {
  for (const auto pick : {&Space::pick_loose, &Space::pick_from_extent}) {
    auto block = (this->*pick)();
    if (block.ok() || block.status().code() != Code::no_space) return block;
  }
  return pick_anywhere();
}

// Out of a chunk already broken into, where one was seen.
Result<std::uint64_t> Space::pick_loose() {
  while (!loose_.empty()) {
    const std::uint64_t group = *loose_.begin();
    CSNAP_TRY(look_for_block(group));
    const std::uint64_t bit = find_loose(metadata_view_.words, per_chunk());
    if (bit < kGroupBits) return group * kGroupBits + bit;
    loose_.erase(group);
  }
  return Status(Code::no_space, "no chunk is broken into");
}

Result<std::uint64_t> Space::pick_from_extent() {
  while (true) {
    if (extent_.empty()) {
      const std::uint64_t wanted = std::max<std::uint64_t>(1, kExtentBlocks / per_chunk());
      CSNAP_ASSIGN(extent_, find_chunks(wanted));
    }
    const std::uint64_t group = extent_.from / kGroupBits;
    const std::uint64_t base = group * kGroupBits;
    CSNAP_TRY(look_for_block(group));
    const std::uint64_t block = base + find(metadata_view_.words, extent_.from - base, false);
    if (block >= extent_.to) {
      extent_ = {0, 0};
      continue;
    }
    extent_.from = block + 1;
    if (per_chunk() > 1) loose_.insert(group);
    return block;
  }
}

// There is no whole chunk: any block that is left.
Result<std::uint64_t> Space::pick_anywhere() {
  for (std::uint64_t group = 0; group < layout_.bitmap_blocks; ++group) {
    if (hints(group) & kNoBlock) continue;
    CSNAP_TRY(look_for_block(group));
    const std::uint64_t bit = find(metadata_view_.words, 0, false);
    if (bit < kGroupBits) return group * kGroupBits + bit;
    hints(group) |= kNoBlock;
  }
  return Status(Code::no_space, "the store is full: no free block is left for metadata");
}

}  // namespace csnap
