// SPDX-License-Identifier: Apache-2.0
// Editing of leaves. Changes take the same way: a window of neighbouring entries is decoded into a
// list, the list is changed, and leaf_replace() puts it back in place of the window. Only what
// comes most often, a run where nothing was, is written where it belongs at once.
#include <algorithm>
#include <array>
#include <bitset>
#include <cassert>
#include <cstring>
#include <span>

#include "btree/leaf.h"

namespace csnap {

namespace {

using List = std::vector<LeafEntry>;

// A whole leaf with two segments of 64 split, and one more.
constexpr std::size_t kMaxList = kMaxLeafEntries + 2 * kMaxSnapshots + 1;

LeafHead& head_of(MutableBlock block) {
  return view_as<LeafHead>(block.subspan(sizeof(BlockHeader)));
}
std::byte* entry_at(MutableBlock block, unsigned i) {
  return block.data() + sizeof(BlockHeader) + sizeof(LeafHead) + i * sizeof(DiskLeafEntry);
}
DiskLeafEntry& disk_entry(MutableBlock block, unsigned i) {
  return *reinterpret_cast<DiskLeafEntry*>(entry_at(block, i));
}
Le64& dictionary_slot(MutableBlock block, unsigned index) {
  return *reinterpret_cast<Le64*>(block.data() + kBlockSize - (index + 1) * kMaskSize);
}

void write_entry(MutableBlock block, unsigned i, const LeafEntry& entry, std::uint8_t slot) {
  assert(entry.length >= 1 && entry.length <= kMaxRunLength && entry.mask != 0);
  assert(entry.end().value <= kMaxChunks);
  auto& disk = disk_entry(block, i);
  disk.chunk.set(entry.chunk.value);
  disk.store.set(entry.store.value);
  disk.length_less_one.set(static_cast<std::uint8_t>(entry.length - 1));
  disk.mask.set(slot);
}

// While a change is planned, masks that go and masks that come are there together.
constexpr std::size_t kMaxPlannedMasks = kMaxLeafMasks + kMaxList;

// What becomes of the dictionary when entries [begin, end) give way to a list.
class DictionaryPlan {
 public:
  DictionaryPlan(LeafView leaf, unsigned begin, unsigned end, std::span<const LeafEntry> list)
      : old_(leaf.masks()), size_(old_) {
    assert(old_ <= kMaxLeafMasks && list.size() <= kMaxList);
    for (unsigned i = 0; i < old_; ++i) masks_[i] = leaf.dictionary(i);
    for (std::size_t i = 0; i < list.size(); ++i)
      slot_[i] = i > 0 && list[i].mask == list[i - 1].mask ? slot_[i - 1] : slot_of(list[i].mask);
    drop_unused(leaf, begin, end);
  }

  unsigned size() const { return size_; }
  bool renumbered() const { return renumbered_; }
  // Of list entry i.
  std::uint8_t slot(std::size_t i) const { return moved(slot_[i]); }
  // Where an old slot is now. One byte is enough for any plan that fits.
  std::uint8_t moved(unsigned slot) const {
    return static_cast<std::uint8_t>(renumbered_ ? moved_[slot] : slot);
  }
  void write(MutableBlock block) const {
    for (unsigned i = renumbered_ ? 0 : old_; i < size_; ++i)
      dictionary_slot(block, i).set(masks_[i]);
    head_of(block).masks.set(static_cast<std::uint16_t>(size_));
  }

 private:
  std::uint16_t slot_of(ShareMask mask) {
    unsigned slot = 0;
    while (slot < size_ && masks_[slot] != mask) ++slot;
    if (slot == size_) masks_[size_++] = mask;
    used_.set(slot);
    return static_cast<std::uint16_t>(slot);
  }

  // A slot may fall out of use only if an entry of the window was its user.
  void drop_unused(LeafView leaf, unsigned begin, unsigned end) {
    bool lost = false;
    for (unsigned i = begin; i < end && !lost; ++i) lost = !used_.test(leaf.mask_index(i));
    if (!lost) return;
    for (unsigned i = 0; i < begin; ++i) used_.set(leaf.mask_index(i));
    for (unsigned i = end, n = leaf.entries(); i < n; ++i) used_.set(leaf.mask_index(i));
    unsigned kept = 0;
    for (unsigned i = 0; i < size_; ++i) {
      moved_[i] = static_cast<std::uint16_t>(kept);
      if (used_.test(i)) masks_[kept++] = masks_[i];
    }
    renumbered_ = kept != size_;
    size_ = kept;
  }

  unsigned old_;
  unsigned size_;
  bool renumbered_ = false;
  std::array<ShareMask, kMaxPlannedMasks> masks_;
  std::array<std::uint16_t, kMaxPlannedMasks> moved_;
  std::array<std::uint16_t, kMaxList> slot_;
  std::bitset<kMaxPlannedMasks> used_;
};

// Puts the list in place of entries [begin, end). False: it does not fit, nothing was changed.
bool leaf_replace(MutableBlock block, unsigned begin, unsigned end,
                  std::span<const LeafEntry> list) {
  const LeafView leaf(block);
  const unsigned n = leaf.entries();
  assert(begin <= end && end <= n);
  const std::size_t after = n - (end - begin) + list.size();
  if (after * sizeof(DiskLeafEntry) > kLeafRoom) return false;
  const DictionaryPlan plan(leaf, begin, end, list);
  if (after * sizeof(DiskLeafEntry) + plan.size() * kMaskSize > kLeafRoom) return false;

  if (plan.renumbered())
    for (unsigned i = 0; i < n; ++i) {
      auto& index = disk_entry(block, i).mask;
      index.set(plan.moved(index.get()));
    }
  const unsigned tail = begin + static_cast<unsigned>(list.size());
  if (tail != end)
    std::memmove(entry_at(block, tail), entry_at(block, end), (n - end) * sizeof(DiskLeafEntry));
  for (unsigned i = 0; i < list.size(); ++i) write_entry(block, begin + i, list[i], plan.slot(i));
  head_of(block).entries.set(static_cast<std::uint16_t>(after));
  plan.write(block);
  return true;
}

void decode(LeafView leaf, unsigned begin, unsigned end, List& out) {
  for (unsigned i = begin; i < end; ++i) out.push_back(leaf.entry(i));
}

// b goes on where a ends, with the same mask, and one entry can hold both.
bool continues(const LeafEntry& a, const LeafEntry& b) {
  return a.end() == b.chunk && a.store + a.length == b.store && a.mask == b.mask &&
         a.length + b.length <= kMaxRunLength;
}

// Joins segments of the list that continue each other exception by exception.
void join_segments(List& list) {
  std::size_t kept_begin = 0, kept_end = 0;  // the last segment kept so far
  for (std::size_t i = 0; i < list.size();) {
    std::size_t j = i + 1;
    while (j < list.size() && list[j].chunk == list[i].chunk) ++j;
    const std::size_t depth = j - i;
    bool join = kept_end > 0 && kept_end - kept_begin == depth;
    for (std::size_t k = 0; k < depth && join; ++k)
      join = continues(list[kept_begin + k], list[i + k]);
    if (join) {
      for (std::size_t k = 0; k < depth; ++k) list[kept_begin + k].length += list[i + k].length;
    } else {
      kept_begin = kept_end;
      for (std::size_t k = i; k < j; ++k) list[kept_end++] = list[k];
    }
    i = j;
  }
  list.resize(kept_end);
}

// The part of an entry that lies in [from, to).
LeafEntry part_of(const LeafEntry& entry, Chunk from, Chunk to) {
  from = std::max(from, entry.chunk);
  to = std::min(to, entry.end());
  assert(from < to);
  return {from, static_cast<std::uint32_t>(to - from), entry.store + (from - entry.chunk),
          entry.mask};
}

void append_parts(std::span<const LeafEntry> segment, Chunk from, Chunk to, List& out) {
  if (from >= to) return;
  for (const LeafEntry& entry : segment) out.push_back(part_of(entry, from, to));
}

bool below(const LeafEntry& a, const LeafEntry& b) {
  return a.mask < b.mask;
}

// Grows the window [begin, end) by the segments that touch it, for join_segments() to look at.
void widen(LeafView leaf, unsigned& begin, unsigned& end) {
  if (begin < end && begin > 0 && leaf.end(begin - 1) == leaf.chunk(begin))
    begin = leaf.segment_begin(begin - 1);
  if (begin < end && end < leaf.entries() && leaf.end(end - 1) == leaf.chunk(end))
    end = leaf.segment_end(end);
}

// Another entry, before entry i. Returns whether it fitted.
bool add_entry(MutableBlock block, unsigned i, const LeafEntry& entry) {
  const LeafView leaf(block);
  const unsigned n = leaf.entries(), masks = leaf.masks();
  unsigned slot = 0;
  while (slot < masks && leaf.dictionary(slot) != entry.mask) ++slot;
  if ((n + 1) * sizeof(DiskLeafEntry) + std::max(masks, slot + 1) * kMaskSize > kLeafRoom)
    return false;
  std::memmove(entry_at(block, i + 1), entry_at(block, i), (n - i) * sizeof(DiskLeafEntry));
  write_entry(block, i, entry, static_cast<std::uint8_t>(slot));
  head_of(block).entries.set(static_cast<std::uint16_t>(n + 1));
  if (slot == masks) {
    dictionary_slot(block, slot).set(entry.mask);
    head_of(block).masks.set(static_cast<std::uint16_t>(masks + 1));
  }
  return true;
}

// A run where nothing was, before entry i. Returns whether it fitted.
bool insert_into_gap(MutableBlock block, unsigned i, LeafEntry entry) {
  const LeafView leaf(block);
  const unsigned n = leaf.entries();
  const auto alone = [&](unsigned k) {
    return (k == 0 || leaf.chunk(k - 1) != leaf.chunk(k)) &&
           (k + 1 == n || leaf.chunk(k + 1) != leaf.chunk(k));
  };
  const bool joins_left = i > 0 && leaf.end(i - 1) == entry.chunk && alone(i - 1) &&
                          continues(leaf.entry(i - 1), entry);
  if (joins_left) {
    const LeafEntry before = leaf.entry(i - 1);
    entry = {before.chunk, before.length + entry.length, before.store, entry.mask};
  }
  const bool joins_right =
      i < n && leaf.chunk(i) == entry.end() && alone(i) && continues(entry, leaf.entry(i));
  if (joins_right) entry.length += leaf.length(i);
  if (joins_left && joins_right) return leaf_replace(block, i - 1, i + 1, {&entry, 1});
  if (!joins_left && !joins_right) return add_entry(block, i, entry);
  const unsigned changed = joins_left ? i - 1 : i;
  write_entry(block, changed, entry, static_cast<std::uint8_t>(leaf.mask_index(changed)));
  return true;
}

// One more exception in (a part of) the segment that begins with entry i.
bool insert_into_segment(MutableBlock block, unsigned i, const LeafEntry& added) {
  const LeafView leaf(block);
  unsigned begin = i, end = leaf.segment_end(i);
  List segment, list;
  decode(leaf, i, end, segment);
  const unsigned segment_end = end;
  widen(leaf, begin, end);
  list.reserve(3 * segment.size() + 1 + (end - begin));
  decode(leaf, begin, i, list);
  append_parts(segment, segment[0].chunk, added.chunk, list);
  const std::size_t middle = list.size();
  append_parts(segment, added.chunk, added.end(), list);
  for (std::size_t k = middle; k < list.size(); ++k) assert((list[k].mask & added.mask) == 0);
  list.insert(std::upper_bound(list.begin() + static_cast<std::ptrdiff_t>(middle), list.end(),
                               added, below),
              added);
  append_parts(segment, added.end(), segment[0].end(), list);
  decode(leaf, segment_end, end, list);
  join_segments(list);
  return leaf_replace(block, begin, end, list);
}

void append_freed(StoreRun run, std::vector<StoreRun>& freed) {
  if (!freed.empty() && freed.back().end() == run.start)
    freed.back().count += run.count;
  else
    freed.push_back(run);
}

// Appends the segment to the list, without bits in [from, to).
void clear_segment(std::span<const LeafEntry> segment, Chunk from, Chunk to, ShareMask bits,
                   List& list, std::vector<StoreRun>& freed) {
  const Chunk begin = segment[0].chunk, end = segment[0].end();
  const bool touched = std::any_of(segment.begin(), segment.end(), [&](const LeafEntry& entry) {
    return (entry.mask & bits) != 0;
  });
  if (!touched || from >= end || to <= begin) {
    list.insert(list.end(), segment.begin(), segment.end());
    return;
  }
  append_parts(segment, begin, from, list);
  const std::size_t middle = list.size();
  for (const LeafEntry& entry : segment) {
    LeafEntry left = part_of(entry, from, to);
    left.mask &= ~bits;
    if (left.mask != 0)
      list.push_back(left);
    else
      append_freed({left.store, left.length}, freed);
  }
  std::sort(list.begin() + static_cast<std::ptrdiff_t>(middle), list.end(), below);
  append_parts(segment, to, end, list);
}

}  // namespace

void leaf_init(MutableBlock block) {
  std::memset(block.data() + sizeof(BlockHeader), 0, kBlockPayload);
}

std::uint64_t leaf_insert(MutableBlock block, ChunkRun run, StoreChunk store, ShareMask mask,
                          unsigned i) {
  assert(mask != 0 && run.end().value <= kMaxChunks);
  std::uint64_t done = 0;
  while (done < run.count) {
    const LeafView leaf(block);
    const Chunk from = run.start + done;
    if (done > 0) i = leaf.find(from);
    const bool gap = i == leaf.entries() || leaf.chunk(i) > from;
    Chunk to = run.end();
    if (i < leaf.entries()) to = std::min(to, gap ? leaf.chunk(i) : leaf.end(i));
    if (gap) to = std::min(to, from + kMaxRunLength);
    const LeafEntry piece{from, static_cast<std::uint32_t>(to - from), store + done, mask};
    const bool fitted =
        gap ? insert_into_gap(block, i, piece) : insert_into_segment(block, i, piece);
    if (!fitted) break;
    done += piece.length;
  }
  return done;
}

bool leaf_clear(MutableBlock block, ChunkRun run, ShareMask bits, std::vector<StoreRun>& freed) {
  const LeafView leaf(block);
  const unsigned first = leaf.find(run.start), last = leaf.lower_bound(run.end());
  if (first >= last) return true;
  unsigned begin = first, end = last;
  widen(leaf, begin, end);
  List old, list;
  old.reserve(end - begin);
  list.reserve(end - begin + 2 * kMaxSnapshots);
  decode(leaf, begin, end, old);
  std::vector<StoreRun> gone;
  for (std::size_t i = 0; i < old.size();) {
    std::size_t j = i + 1;
    while (j < old.size() && old[j].chunk == old[i].chunk) ++j;
    clear_segment(std::span(old).subspan(i, j - i), run.start, run.end(), bits, list, gone);
    i = j;
  }
  join_segments(list);
  if (!leaf_replace(block, begin, end, list)) return false;
  for (const StoreRun& one : gone) append_freed(one, freed);
  return true;
}

unsigned leaf_split_point(LeafView leaf) {
  const unsigned n = leaf.entries();
  if (n < 2) return 0;
  const unsigned below_middle = leaf.segment_begin(n / 2), above_middle = leaf.segment_end(n / 2);
  if (above_middle == n || n / 2 - below_middle <= above_middle - n / 2) {
    if (below_middle > 0) return below_middle;
  }
  return above_middle < n ? above_middle : 0;
}

void leaf_split(MutableBlock left, MutableBlock right, unsigned at) {
  const LeafView view(left);
  const unsigned n = view.entries();
  assert(at > 0 && at < n && LeafView(right).entries() == 0);
  List moving;
  moving.reserve(n - at);
  decode(view, at, n, moving);
  const bool fits = leaf_replace(right, 0, 0, moving) && leaf_replace(left, at, n, {});
  assert(fits);
  static_cast<void>(fits);
}

std::size_t leaf_merged_bytes(LeafView left, LeafView right) {
  std::size_t bytes = left.used_bytes() + right.used_bytes();
  for (unsigned i = 0; i < right.masks(); ++i)
    for (unsigned k = 0; k < left.masks(); ++k)
      if (left.dictionary(k) == right.dictionary(i)) {
        bytes -= kMaskSize;
        break;
      }
  return bytes;
}

void leaf_merge(MutableBlock left, LeafView right) {
  const LeafView view(left);
  const unsigned n = view.entries();
  // The last segment on the left may go on with the first on the right.
  const unsigned begin = n > 0 ? view.segment_begin(n - 1) : 0;
  List list;
  list.reserve(n - begin + right.entries());
  decode(view, begin, n, list);
  decode(right, 0, right.entries(), list);
  join_segments(list);
  const bool fits = leaf_replace(left, begin, n, list);
  assert(fits);
  static_cast<void>(fits);
}

}  // namespace csnap
