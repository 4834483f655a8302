// SPDX-License-Identifier: Apache-2.0
// Bits, holds and counts; finding what is free is space_search.cc.
#include "store/space.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "store/bits.h"
#include "store/growth.h"

namespace csnap {
namespace {

using Fill = AvoidSet::Fill;

// Calls f(bitmap block, first bit, end bit) for each bitmap block that blocks [from, to) lie under.
template <class F>
void for_each_group(std::uint64_t from, std::uint64_t to, F f) {
  while (from < to) {
    const std::uint64_t group = from / kBitsPerBitmapBlock;
    const std::uint64_t base = group * kBitsPerBitmapBlock;
    const std::uint64_t end = std::min(to, base + kBitsPerBitmapBlock);
    f(group, from - base, end - base);
    from = end;
  }
}

}  // namespace

Space::Space(BlockCache& cache, SpaceLayout& layout)
    : layout_(layout), cache_(cache), hints_(layout.bitmap_blocks) {}

Space::BlockRange Space::blocks_of(StoreRun run) const {
  const std::uint64_t chunks = layout_.blocks / per_chunk();
  const std::uint64_t from = std::min(run.start.value, chunks);
  return {from * per_chunk(), (from + std::min(run.count, chunks - from)) * per_chunk()};
}

Status Space::check_run(StoreRun run) const {
  const std::uint64_t chunks = layout_.blocks / per_chunk();
  if (run.start.value * per_chunk() >= layout_.reserved && run.start.value <= chunks &&
      run.count <= chunks - run.start.value)
    return {};
  return Status(Code::corrupt, "chunk " + std::to_string(run.start.value) + ", " +
                                   std::to_string(run.count) + " long, cannot hold data");
}

Result<std::span<const std::byte>> Space::bits_of(std::uint64_t group) const {
  static constexpr std::array<std::byte, kBlockPayload> kNeverWritten{};
  if (group >= layout_.bitmap_ready) return std::span<const std::byte>(kNeverWritten);
  CSNAP_ASSIGN(const ConstBlock block, cache_.read(bitmap_address(group), BlockKind::bitmap));
  return block.subspan(sizeof(BlockHeader));
}

std::span<std::byte> Space::edit_bits(std::uint64_t group) {
  assert(group < layout_.bitmap_ready);
  auto block = cache_.edit(bitmap_address(group), BlockKind::bitmap);
  assert(block.ok());
  return block->subspan(sizeof(BlockHeader));
}

Status Space::prepare(StoreRun run) {
  CSNAP_TRY(check_run(run));
  const BlockRange range = blocks_of(run);
  if (range.empty()) return {};
  const std::uint64_t last = (range.to - 1) / kBitsPerBitmapBlock;
  for (std::uint64_t g = range.from / kBitsPerBitmapBlock; g <= last; ++g)
    CSNAP_TRY(bits_of(g).status());
  return grow_area(cache_, BlockKind::bitmap, layout_.bitmap, layout_.bitmap_ready, last + 1);
}

// Are all bits of the range as they should be?
Status Space::require_bits(BlockRange range, bool used) {
  Status status;
  for_each_group(range.from, range.to, [&](std::uint64_t group, std::uint64_t a, std::uint64_t b) {
    if (!status.ok()) return;
    const auto bits = bits_of(group);
    if (!bits.ok()) {
      status = bits.status();
      return;
    }
    const std::uint64_t at =
        find_bit([&](std::uint64_t w) { return load_word(*bits, w); }, a, b, !used);
    if (at < b)
      status = Status(Code::corrupt, "block " + std::to_string(group * kBitsPerBitmapBlock + at) +
                                         (used ? " is freed but was not in use"
                                               : " is taken but was in use already"));
  });
  return status;
}

Status Space::mark_used(StoreRun run) {
  CSNAP_TRY(prepare(run));
  const BlockRange range = blocks_of(run);
  CSNAP_TRY(require_bits(range, false));
  for (const std::uint64_t pick : picks_)
    if (pick >= range.from && pick < range.to)
      return Status(Code::corrupt, "block " + std::to_string(pick) +
                                       " is to hold data, but was taken for metadata");
  const std::uint64_t blocks = range.to - range.from;
  if (layout_.free_blocks < blocks || layout_.free_chunks < run.count)
    return Status(Code::corrupt, "more chunks are taken than were counted as free");
  for_each_group(range.from, range.to, [&](std::uint64_t group, std::uint64_t a, std::uint64_t b) {
    set_bits(edit_bits(group), a, b);
  });
  layout_.free_blocks -= blocks;
  layout_.free_chunks -= run.count;
  mark_busy(range);
  avoid_.set_fill(range.from, range.to, Fill::used);
  return {};
}

Status Space::mark_free(StoreRun run) {
  CSNAP_TRY(prepare(run));
  const BlockRange range = blocks_of(run);
  CSNAP_TRY(require_bits(range, true));
  avoid(range, Fill::free);
  avoid_.set_fill(range.from, range.to, Fill::free);
  for_each_group(range.from, range.to, [&](std::uint64_t group, std::uint64_t a, std::uint64_t b) {
    clear_bits(edit_bits(group), a, b);
  });
  layout_.free_blocks += range.to - range.from;
  layout_.free_chunks += run.count;
  return {};
}

Result<bool> Space::is_used(StoreChunk chunk) {
  CSNAP_TRY(check_run({chunk, 1}));
  const BlockRange range = blocks_of({chunk, 1});
  if (range.empty()) return Status(Code::out_of_range, "no such chunk");
  const std::uint64_t group = range.from / kBitsPerBitmapBlock;
  CSNAP_ASSIGN(const auto bits, bits_of(group));
  const std::uint64_t base = group * kBitsPerBitmapBlock;
  return count_bits(bits, range.from - base, range.to - base) > 0;
}

// -- the avoid set -------------------------------------------------------------------------------

void Space::avoid(BlockRange range, Fill fill) {
  avoid_.add(range.from, range.to, fill);
  mark_busy(range);
}

void Space::unavoid(BlockRange range) {
  avoid_.remove(range.from, range.to, [&](std::uint64_t from, std::uint64_t to, Fill fill) {
    if (fill != Fill::used) came_free({from, to}, fill);
  });
}

// These blocks may be taken again, or some of them if nothing is known.
void Space::came_free(BlockRange range, Fill fill) {
  if (fill == Fill::free) {
    mark_idle(range);
  } else {
    for (View* view : {&data_view_, &metadata_view_}) view->group = kNoGroup;
  }
  const bool broken = range.from % per_chunk() != 0 || range.to % per_chunk() != 0;
  for_each_group(range.from, range.to, [&](std::uint64_t group, std::uint64_t, std::uint64_t) {
    hints(group) = 0;
    if (broken) loose_.insert(group);
  });
}

void Space::unreserve(StoreRun run) {
  unhold(run);
}

void Space::hold(StoreRun run) {
  const BlockRange range = blocks_of(run);
  avoid(range, Fill::unknown);
  // What cannot be learnt now is, when it matters.
  if (const Status s = learn(range); !s.ok()) return;
}

void Space::unhold(StoreRun run) {
  const BlockRange range = blocks_of(run);
  assert(avoid_.covers(range.from, range.to));
  unavoid(range);
}

bool Space::is_held(StoreChunk chunk) const {
  const BlockRange range = blocks_of({chunk, 1});
  return avoid_.overlaps(range.from, range.to);
}

// Finds out which blocks of the range, of those in the avoid set, are free.
Status Space::learn(BlockRange range) {
  std::vector<BlockRange> unknown;
  avoid_.for_each(range.from, range.to, [&](std::uint64_t from, std::uint64_t to, Fill fill) {
    if (fill == Fill::unknown) unknown.push_back({from, to});
  });
  Status status;
  for (const BlockRange& part : unknown)
    for_each_group(part.from, part.to, [&](std::uint64_t group, std::uint64_t a, std::uint64_t b) {
      const auto bits = bits_of(group);
      if (!bits.ok()) {
        status = bits.status();
        return;
      }
      const auto word = [&](std::uint64_t w) { return load_word(*bits, w); };
      const std::uint64_t base = group * kBitsPerBitmapBlock;
      for (bool used = false; a < b; used = !used) {
        const std::uint64_t end = find_bit(word, a, b, !used);
        avoid_.set_fill(base + a, base + end, used ? Fill::used : Fill::free);
        a = end;
      }
    });
  return status;
}

// Of the whole set. Each piece learnt stays known, so repeating it after need_block gets on.
Status Space::learn_all() {
  while (const auto unknown = avoid_.first_unknown())
    CSNAP_TRY(learn({unknown->first, unknown->second}));
  return {};
}

// Blocks that are neither used nor avoided; too few while there is something to learn.
std::uint64_t Space::spare_blocks() const {
  const std::uint64_t avoided = avoid_.free_blocks() + avoid_.unknown_blocks();
  return layout_.free_blocks - std::min(avoided, layout_.free_blocks);
}

bool Space::chunk_is_clear(std::uint64_t block) const {
  const std::uint64_t group = block / kBitsPerBitmapBlock;
  const auto bits = bits_of(group);
  if (!bits.ok()) return true;  // as far as we know
  const std::uint64_t first = block / per_chunk() * per_chunk() - group * kBitsPerBitmapBlock;
  return count_bits(*bits, first, first + per_chunk()) == 0;
}

std::uint64_t Space::available_chunks() const {
  std::uint64_t avoided = 0;
  std::uint64_t next = 0;  // first chunk not looked at
  const std::uint64_t n = per_chunk();
  avoid_.for_each(0, layout_.blocks, [&](std::uint64_t from, std::uint64_t to, Fill fill) {
    const std::uint64_t first = std::max(next, from / n);
    const std::uint64_t end = (to + n - 1) / n;
    if (first >= end) return;
    next = end;
    if (fill == Fill::used) return;
    for (std::uint64_t chunk = first; chunk < end; ++chunk) {
      const bool whole = from <= chunk * n && (chunk + 1) * n <= to;
      if (whole && fill == Fill::free) {
        const std::uint64_t last = to / n;  // and so are those up to the end of the run
        avoided += last - chunk;
        chunk = last - 1;
      } else {
        avoided += chunk_is_clear(chunk * n);
      }
    }
  });
  return layout_.free_chunks - std::min(avoided, layout_.free_chunks);
}

// -- metadata blocks -----------------------------------------------------------------------------

BlockAddress Space::allocate_block() {
  assert(!picks_.empty());
  const std::uint64_t block = picks_.front();
  picks_.pop_front();
  const std::uint64_t group = block / kBitsPerBitmapBlock;
  const std::uint64_t bit = block - group * kBitsPerBitmapBlock;
  const bool breaks_chunk = chunk_is_clear(block);
  const std::span<std::byte> bits = edit_bits(group);
  assert(count_bits(bits, bit, bit + 1) == 0);
  set_bits(bits, bit, bit + 1);
  // The counts came from the disk, and may be wrong there.
  if (layout_.free_blocks > 0) --layout_.free_blocks;
  if (breaks_chunk && layout_.free_chunks > 0) --layout_.free_chunks;
  avoid_.set_fill(block, block + 1, Fill::used);
  unavoid({block, block + 1});
  return BlockAddress(block);
}

Status Space::prepare_free(BlockAddress address) {
  const std::uint64_t block = address.value;
  if (block < layout_.reserved || block >= layout_.blocks)
    return Status(Code::corrupt, "block " + std::to_string(block) + " is freed but cannot be one");
  return require_bits({block, block + 1}, true);
}

void Space::free_block(BlockAddress address) {
  const std::uint64_t block = address.value;
  const std::uint64_t group = block / kBitsPerBitmapBlock;
  const std::uint64_t bit = block - group * kBitsPerBitmapBlock;
  const std::span<std::byte> bits = edit_bits(group);
  // A damaged tree may name a block twice.
  if (count_bits(bits, bit, bit + 1) == 0) return;
  avoid({block, block + 1}, Fill::free);
  avoid_.set_fill(block, block + 1, Fill::free);
  clear_bits(bits, bit, bit + 1);
  ++layout_.free_blocks;
  if (chunk_is_clear(block)) ++layout_.free_chunks;
  freed_.push_back(address);
}

std::vector<BlockAddress> Space::take_freed_blocks() {
  return std::exchange(freed_, {});
}

void Space::release_freed_blocks(const std::vector<BlockAddress>& blocks) {
  for (const BlockAddress block : blocks) unavoid({block.value, block.value + 1});
}

void Space::bitmaps_changed() {
  give_picks_back();
  data_view_.group = metadata_view_.group = kNoGroup;
  std::fill(hints_.begin(), hints_.end(), std::uint8_t{0});
  loose_.clear();
  extent_ = {0, 0};
  std::vector<BlockRange> known;
  avoid_.for_each(0, layout_.blocks, [&](std::uint64_t from, std::uint64_t to, Fill) {
    known.push_back({from, to});
  });
  for (const BlockRange& range : known) avoid_.set_fill(range.from, range.to, Fill::unknown);
}

}  // namespace csnap
