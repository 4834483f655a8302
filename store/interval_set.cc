// SPDX-License-Identifier: Apache-2.0
#include "store/interval_set.h"

#include <algorithm>

namespace csnap {

void AvoidSet::split(std::uint64_t at) {
  auto i = runs_.lower_bound(at);
  if (i == runs_.begin()) return;
  --i;
  if (i->second.to <= at) return;
  runs_.emplace_hint(std::next(i), at, i->second);
  i->second.to = at;
}

void AvoidSet::join(std::uint64_t from, std::uint64_t to) {
  auto i = runs_.lower_bound(from);
  if (i != runs_.begin()) --i;
  while (i != runs_.end() && i->first <= to) {
    const auto next = std::next(i);
    if (next == runs_.end()) return;
    const bool alike = next->first == i->second.to && next->second.count == i->second.count &&
                       next->second.fill == i->second.fill;
    if (!alike) {
      i = next;
      continue;
    }
    i->second.to = next->second.to;
    runs_.erase(next);
  }
}

void AvoidSet::add(std::uint64_t from, std::uint64_t to, Fill fill) {
  if (from >= to) return;
  split(from);
  split(to);
  auto i = runs_.lower_bound(from);
  for (std::uint64_t at = from; at < to; ++i) {
    const std::uint64_t next = i == runs_.end() ? to : std::min(i->first, to);
    if (at < next) {
      i = runs_.emplace_hint(i, at, Reasons{next, 1, fill});
      blocks(fill) += next - at;
    } else {
      ++i->second.count;
      if (i->second.fill == Fill::unknown && fill != Fill::unknown) {
        blocks(Fill::unknown) -= i->second.to - i->first;
        blocks(fill) += i->second.to - i->first;
        i->second.fill = fill;
      }
    }
    at = i->second.to;
  }
  join(from, to);
}

void AvoidSet::set_fill(std::uint64_t from, std::uint64_t to, Fill fill) {
  if (from >= to) return;
  split(from);
  split(to);
  for (auto i = runs_.lower_bound(from); i != runs_.end() && i->first < to; ++i) {
    blocks(i->second.fill) -= i->second.to - i->first;
    blocks(fill) += i->second.to - i->first;
    i->second.fill = fill;
  }
  join(from, to);
}

AvoidSet::Runs::const_iterator AvoidSet::first_touching(std::uint64_t from) const {
  auto i = runs_.upper_bound(from);
  if (i != runs_.begin() && std::prev(i)->second.to > from) --i;
  return i;
}

bool AvoidSet::overlaps(std::uint64_t from, std::uint64_t to) const {
  const auto i = first_touching(from);
  return i != runs_.end() && i->first < to;
}

bool AvoidSet::covers(std::uint64_t from, std::uint64_t to) const {
  std::uint64_t at = from;
  for (auto i = first_touching(from); i != runs_.end() && i->first <= at && at < to; ++i)
    at = i->second.to;
  return at >= to;
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> AvoidSet::first_unknown() const {
  if (unknown_blocks() == 0) return std::nullopt;
  const auto i = std::find_if(runs_.begin(), runs_.end(),
                              [](const auto& run) { return run.second.fill == Fill::unknown; });
  return std::pair(i->first, i->second.to);
}

}  // namespace csnap
