// SPDX-License-Identifier: Apache-2.0
// A set of block ranges in which every block has a count: how many reasons there are to avoid it.
// It also remembers of each block whether it is free or used, when somebody knew. Ranges are
// half-open, [from, to). Neighbours that are alike are one run; cost of a change is logarithmic in
// the runs, plus those it touches.
// Pure memory, no I/O; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace csnap {

class AvoidSet {
 public:
  enum class Fill : std::uint8_t { unknown, free, used };

  // One more reason for every block of the range. What is known of its fill counts for blocks of
  // which nothing was known.
  void add(std::uint64_t from, std::uint64_t to, Fill fill);
  // One reason less for those blocks of the range that have any; calls gone(from, to, fill) for
  // each part that leaves the set. gone may not change the set.
  template <class Gone>
  void remove(std::uint64_t from, std::uint64_t to, Gone gone);
  // Says what the blocks of the range are that are in the set.
  void set_fill(std::uint64_t from, std::uint64_t to, Fill fill);

  bool overlaps(std::uint64_t from, std::uint64_t to) const;
  bool covers(std::uint64_t from, std::uint64_t to) const;
  // f(from, to, fill) for each run in the range, cut to it, in order. f may not change the set.
  template <class F>
  void for_each(std::uint64_t from, std::uint64_t to, F f) const;
  // A run of which nothing is known: the first.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> first_unknown() const;

  std::size_t runs() const { return runs_.size(); }
  std::uint64_t free_blocks() const { return blocks_[static_cast<int>(Fill::free)]; }
  std::uint64_t unknown_blocks() const { return blocks_[static_cast<int>(Fill::unknown)]; }

 private:
  struct Reasons {
    std::uint64_t to = 0;
    std::uint32_t count = 0;
    Fill fill = Fill::unknown;
  };
  using Runs = std::map<std::uint64_t, Reasons>;

  // Makes `at` a border between runs, if it is inside one.
  void split(std::uint64_t at);
  // Joins runs that are alike, from the one before `from` to the one after `to`.
  void join(std::uint64_t from, std::uint64_t to);
  Runs::const_iterator first_touching(std::uint64_t from) const;
  std::uint64_t& blocks(Fill fill) { return blocks_[static_cast<int>(fill)]; }

  Runs runs_;
  std::uint64_t blocks_[3] = {};  // in the set, by fill
};

template <class Gone>
void AvoidSet::remove(std::uint64_t from, std::uint64_t to, Gone gone) {
  split(from);
  split(to);
  for (auto i = runs_.lower_bound(from); i != runs_.end() && i->first < to;) {
    if (--i->second.count > 0) {
      ++i;
      continue;
    }
    blocks(i->second.fill) -= i->second.to - i->first;
    gone(i->first, i->second.to, i->second.fill);
    i = runs_.erase(i);
  }
  join(from, to);
}

template <class F>
void AvoidSet::for_each(std::uint64_t from, std::uint64_t to, F f) const {
  for (auto i = first_touching(from); i != runs_.end() && i->first < to; ++i)
    f(i->first < from ? from : i->first, i->second.to < to ? i->second.to : to, i->second.fill);
}

}  // namespace csnap
