// SPDX-License-Identifier: Apache-2.0
#include "btree/leaf.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <string>

#include "btree/key_search.h"

namespace csnap {

unsigned LeafView::lower_bound(Chunk key) const {
  const unsigned n = entries();
  return n == 0 ? 0 : lower_bound(key, {chunk(0), chunk(n - 1) - chunk(0)});
}

unsigned LeafView::lower_bound(Chunk key, ChunkRun keys) const {
  return first_not_below(entries(), key.value, keys.start.value, keys.end().value,
                         [this](unsigned i) { return load48(at(i)); });
}

unsigned LeafView::find(Chunk key) const {
  return segment_near(lower_bound(key), key);
}

unsigned LeafView::find(Chunk key, ChunkRun keys) const {
  // What has no upper bound says nothing of where the keys are.
  if (keys.end().value >= kMaxChunks) return find(key);
  __builtin_prefetch(payload_ + kBlockPayload - 1);  // the dictionary, needed last
  return segment_near(lower_bound(key, keys), key);
}

void LeafView::prefetch(Chunk key, ChunkRun keys) const {
  const std::byte* guess =
      at(entries() == 0 ? 0
                        : static_cast<unsigned>(guess_place(entries(), key.value, keys.start.value,
                                                            keys.end().value)));
  // It may be wrong by a few entries.
  for (const int off : {-64, 0, 64}) __builtin_prefetch(guess + off);
  __builtin_prefetch(at(entries()) - 1);             // the last entry: is the leaf in its place?
  __builtin_prefetch(payload_ + kBlockPayload - 1);  // the dictionary
}

unsigned LeafView::segment_near(unsigned i, Chunk key) const {
  if (i == 0 || (i < entries() && chunk(i) == key)) return i;
  return end(i - 1) > key ? segment_begin(i - 1) : i;
}

unsigned LeafView::segment_end(unsigned i) const {
  const Chunk start = chunk(i);
  const unsigned n = entries();
  do ++i;
  while (i < n && chunk(i) == start);
  return i;
}

unsigned LeafView::segment_begin(unsigned i) const {
  const Chunk start = chunk(i);
  while (i > 0 && chunk(i - 1) == start) --i;
  return i;
}

ShareMask LeafView::mask_union() const {
  ShareMask all = 0;
  for (unsigned i = 0, n = masks(); i < n; ++i) all |= dictionary(i);
  return all;
}

bool LeafView::holds(ChunkRun run, ShareMask bits) const {
  const Chunk end = run.end();
  for (unsigned i = find(run.start), n = entries(); i < n && chunk(i) < end; ++i)
    if (mask(i) & bits) return true;
  return false;
}

namespace {

Status damaged(const std::string& what) {
  return Status(Code::corrupt, "leaf: " + what);
}

Status validate_head(ConstBlock block) {
  const auto& head = view_as<LeafHead>(block.subspan(sizeof(BlockHeader)));
  const std::size_t entries = head.entries.get(), masks = head.masks.get();
  if (entries == 0) return damaged("no entries");
  if (masks == 0 || masks > entries) return damaged(std::to_string(masks) + " masks");
  if (entries * sizeof(DiskLeafEntry) + masks * kMaskSize > kLeafRoom)
    return damaged(std::to_string(entries) + " entries and " + std::to_string(masks) +
                   " masks do not fit");
  for (const std::uint8_t byte : head.reserved)
    if (byte != 0) return damaged("reserved bytes are in use");
  return Status();
}

// What is wrong with entry i, given that the ones before it are right; null if nothing is.
// `stack` is the union of masks of the segment so far.
const char* fault_of_entry(const LeafView& leaf, unsigned i, ShareMask& stack) {
  if (leaf.mask_index(i) >= leaf.masks()) return "no such mask in the dictionary";
  const LeafEntry entry = leaf.entry(i);
  if (entry.end().value > kMaxChunks) return "the run goes beyond the last chunk";
  if ((entry.store + entry.length).value > kMaxChunks) return "the store run goes beyond the end";
  if (i > 0) {
    const LeafEntry before = leaf.entry(i - 1);
    if (entry.chunk == before.chunk && entry.length == before.length) {
      if (entry.mask <= before.mask) return "masks of a segment are not in order";
      if (entry.mask & stack) return "masks of a segment overlap";
      stack |= entry.mask;
      return nullptr;
    }
    if (entry.chunk < before.end()) return "overlaps the entry before it";
  }
  stack = entry.mask;
  return nullptr;
}

}  // namespace

Status validate_leaf(ConstBlock block) {
  CSNAP_TRY(validate_head(block));
  const LeafView leaf(block);
  std::array<ShareMask, kMaxLeafMasks> sorted;
  const unsigned masks = leaf.masks();
  for (unsigned i = 0; i < masks; ++i) {
    sorted[i] = leaf.dictionary(i);
    if (sorted[i] == 0) return damaged("an empty mask in the dictionary");
  }
  std::sort(sorted.begin(), sorted.begin() + masks);
  if (std::adjacent_find(sorted.begin(), sorted.begin() + masks) != sorted.begin() + masks)
    return damaged("a mask is in the dictionary twice");

  std::bitset<256> used;
  ShareMask stack = 0;
  for (unsigned i = 0, n = leaf.entries(); i < n; ++i) {
    if (const char* fault = fault_of_entry(leaf, i, stack))
      return damaged("entry " + std::to_string(i) + ": " + fault);
    used.set(leaf.mask_index(i));
  }
  if (used.count() != masks) return damaged("a mask in the dictionary is not used");
  return Status();
}

}  // namespace csnap
