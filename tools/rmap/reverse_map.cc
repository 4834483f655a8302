// SPDX-License-Identifier: Apache-2.0
#include "tools/rmap/reverse_map.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace csnap {
namespace {

// As small as it can be: there are as many as the budget is for.
struct Gathered {
  std::uint64_t place;  // block, length less one, use: sorts by block
  std::uint64_t chunk;
  std::uint64_t mask;
};
constexpr unsigned kLengthBits = 10, kUseBits = 4;
constexpr std::uint64_t kMaxLength = 1u << kLengthBits;

std::uint64_t place_of(std::uint64_t block, std::uint64_t length, StoreUse use) {
  unsigned index = 0;
  while (bit_of(use) >> (index + 1)) ++index;
  return block << (kLengthBits + kUseBits) | (length - 1) << kUseBits | index;
}
std::uint64_t block_of(const Gathered& g) {
  return g.place >> (kLengthBits + kUseBits);
}
std::uint64_t length_of(const Gathered& g) {
  return (g.place >> kUseBits & (kMaxLength - 1)) + 1;
}
StoreUses uses_of(const Gathered& g) {
  return StoreUses{1} << (g.place & ((1u << kUseBits) - 1));
}

// By block, those of one block in the order in which they are. In as many passes as the blocks have
// digits, whatever order they come in; takes as much memory again.
void sort_by_block(std::vector<Gathered>& entries) {
  constexpr unsigned kDigitBits = 11;
  const auto before = [](const Gathered& a, const Gathered& b) {
    return block_of(a) < block_of(b);
  };
  if (std::is_sorted(entries.begin(), entries.end(), before)) return;
  const auto [first, last] = std::minmax_element(entries.begin(), entries.end(), before);
  const std::uint64_t least = block_of(*first), span = block_of(*last) - least;
  std::vector<Gathered> other(entries.size());
  std::vector<std::size_t> place(std::size_t{1} << kDigitBits);
  for (unsigned shift = 0; shift < 64 && span >> shift != 0; shift += kDigitBits) {
    const auto digit = [&](const Gathered& g) {
      return (block_of(g) - least) >> shift & (place.size() - 1);
    };
    std::fill(place.begin(), place.end(), 0);
    for (const Gathered& g : entries) ++place[digit(g)];
    std::exclusive_scan(place.begin(), place.end(), place.begin(), std::size_t{0});
    for (const Gathered& g : entries) other[place[digit(g)]++] = g;
    entries.swap(other);
  }
}

// The entries of the lowest places of a range, as many as there is room for.
class Window {
 public:
  // first: of the range: runs that begin before it may reach into it. Those that reach from one
  // window into the next were told with the first.
  Window(std::uint64_t from, std::uint64_t to, bool first, std::uint64_t per_chunk,
         std::size_t room)
      : from_(from), to_(to), first_(first), per_chunk_(per_chunk), room_(room) {
    entries_.reserve(room);  // memory that is not touched is not taken
  }

  void add(const Placed& placed) {
    if (placed.use != StoreUse::data) return add_piece(placed.block, 1, placed);
    for (std::uint64_t done = 0; done < placed.count; done += kMaxLength)
      add_piece(placed.block + done * per_chunk_, std::min(kMaxLength, placed.count - done), placed,
                done);
  }
  void sort() { sort_by_block(entries_); }
  const std::vector<Gathered>& entries() const { return entries_; }
  // Nothing from here on was kept.
  std::uint64_t end() const { return to_; }

 private:
  void add_piece(std::uint64_t block, std::uint64_t length, const Placed& placed,
                 std::uint64_t done = 0) {
    const std::uint64_t blocks = placed.use == StoreUse::data ? length * per_chunk_ : 1;
    if (block >= to_ || (first_ ? block + blocks <= from_ : block < from_)) return;
    if (entries_.size() == room_) drop_last_quarter();
    if (block >= to_) return;
    entries_.push_back(
        {place_of(block, length, placed.use), placed.chunk.value + done, placed.mask});
  }
  void drop_last_quarter() {
    const std::size_t keep = room_ / 4 * 3;
    const auto middle = entries_.begin() + static_cast<std::ptrdiff_t>(keep);
    std::nth_element(entries_.begin(), middle, entries_.end(),
                     [](const Gathered& a, const Gathered& b) { return a.place < b.place; });
    // The next pass begins where this window ends: a chunk is wholly in one of them.
    to_ = block_of(*middle) / per_chunk_ * per_chunk_;
    entries_.erase(std::remove_if(entries_.begin(), entries_.end(),
                                  [&](const Gathered& g) { return block_of(g) >= to_; }),
                   entries_.end());
  }

  const std::uint64_t from_;
  std::uint64_t to_;
  const bool first_;
  const std::uint64_t per_chunk_;
  const std::size_t room_;
  std::vector<Gathered> entries_;
};

// Puts lines together, and tells them.
class Teller {
 public:
  Teller(RmapSource& source, const RmapGeometry& geometry, StoreRun range, const RmapSink& sink)
      : source_(source),
        per_chunk_(geometry.blocks_per_chunk()),
        range_(range),
        sink_(sink),
        at_(range.start) {}

  // Everything up to block `to`, of which these are all that the tree says.
  Status tell(const std::vector<Gathered>& entries, std::uint64_t to) {
    for (std::size_t i = 0; i < entries.size();) {
      const StoreChunk chunk(block_of(entries[i]) / per_chunk_);
      if (uses_of(entries[i]) == bit_of(StoreUse::data)) {
        CSNAP_TRY(tell_data(entries[i++], chunk));
        continue;
      }
      StoreUses uses = 0;
      for (; i < entries.size() && block_of(entries[i]) / per_chunk_ == chunk.value &&
             uses_of(entries[i]) != bit_of(StoreUse::data);
           ++i)
        uses |= uses_of(entries[i]);
      CSNAP_TRY(fill_gap(chunk));
      CSNAP_TRY(add({{chunk, 1}, uses, {}, 0}));
    }
    return fill_gap(StoreChunk(std::min(range_.end().value, to / per_chunk_)));
  }
  Status finish() { return pending_.store.count > 0 ? sink_(pending_) : Status(); }

 private:
  Status tell_data(const Gathered& entry, StoreChunk chunk) {
    const StoreChunk from = std::max(chunk, range_.start);
    const StoreChunk to = std::min(chunk + length_of(entry), range_.end());
    CSNAP_TRY(fill_gap(from));
    return add({{from, to - from},
                bit_of(StoreUse::data),
                Chunk(entry.chunk + (from - chunk)),
                entry.mask});
  }

  // What the tree says nothing of.
  Status fill_gap(StoreChunk to) {
    while (at_ < to) {
      const std::uint64_t block = at_.value * per_chunk_;
      CSNAP_ASSIGN(StoreArea area, source_.area_at(block));
      StoreUses uses = bit_of(area.use);
      // Fixed areas may share a chunk.
      while (area.end() < block + per_chunk_) {
        CSNAP_ASSIGN(const StoreArea next, source_.area_at(area.end()));
        uses |= bit_of(next.use);
        area.count = std::min(next.end(), block + per_chunk_) - block;
      }
      const std::uint64_t chunks = std::min(area.end() / per_chunk_ - at_.value, to - at_);
      if (uses == bit_of(StoreUse::used)) uses = bit_of(StoreUse::not_seen);
      CSNAP_TRY(add({{at_, chunks}, uses, {}, 0}));
    }
    return {};
  }

  Status add(const RmapLine& line) {
    at_ = std::max(at_, line.store.end());
    const bool data = line.uses == bit_of(StoreUse::data);
    if (pending_.store.count > 0 && pending_.store.end() == line.store.start &&
        pending_.uses == line.uses && pending_.mask == line.mask &&
        (!data || pending_.chunk + pending_.store.count == line.chunk)) {
      pending_.store.count += line.store.count;
      return {};
    }
    const RmapLine whole = std::exchange(pending_, line);
    return whole.store.count > 0 ? sink_(whole) : Status();
  }

  RmapSource& source_;
  const std::uint64_t per_chunk_;
  const StoreRun range_;
  const RmapSink& sink_;
  StoreChunk at_;     // everything before is told, or pending
  RmapLine pending_;  // no chunks: none
};

}  // namespace

Status reverse_map(RmapSource& source, const RmapGeometry& geometry, StoreRun range,
                   const RmapSink& sink, std::size_t entries) {
  const std::uint64_t per_chunk = geometry.blocks_per_chunk();
  const std::uint64_t end = range.end().value * per_chunk;
  Teller teller(source, geometry, range, sink);
  for (std::uint64_t from = range.start.value * per_chunk; from < end;) {
    const bool first = from == range.start.value * per_chunk;
    Window window(from, end, first, per_chunk, entries);
    CSNAP_TRY(source.scan([&](const Placed& placed) { window.add(placed); }));
    if (window.end() <= from)
      return Status(Code::corrupt, "more of the tree lies in one place of the store than fits");
    window.sort();
    CSNAP_TRY(teller.tell(window.entries(), window.end()));
    from = window.end();
  }
  return teller.finish();
}

}  // namespace csnap
