// SPDX-License-Identifier: Apache-2.0
#include "server/session_grants.h"

#include <algorithm>

namespace csnap {

void SessionGrants::add(std::uint64_t request_id, const Answer& answer) {
  bool any = answer.spares.count > 0;
  if (any) places_[answer.spares.start] = {std::nullopt, answer.spares.count, request_id};
  for (const auto& piece : answer.pieces) {
    if (!piece.provisional) continue;
    any = true;
    places_[piece.store] = {piece.chunks.start, piece.chunks.count, request_id};
  }
  if (any) answers_[request_id] = answer;
}

const SessionGrants::Answer* SessionGrants::answer_to(std::uint64_t request_id) const {
  const auto found = answers_.find(request_id);
  return found == answers_.end() ? nullptr : &found->second;
}

SessionGrants::Places::iterator SessionGrants::find(const WrittenRun& run) {
  auto place = places_.upper_bound(run.store);
  if (place == places_.begin()) return places_.end();
  --place;
  const std::uint64_t skipped = run.store - place->first;
  const bool inside = skipped < place->second.count &&
                      run.chunks.count <= place->second.count - skipped &&
                      (!place->second.chunk || *place->second.chunk + skipped == run.chunks.start);
  return inside ? place : places_.end();
}

void SessionGrants::cut_out(Places::iterator place, const WrittenRun& run) {
  const auto [store, given] = *place;
  const std::uint64_t before = run.store - store;
  const std::uint64_t after = given.count - before - run.chunks.count;
  places_.erase(place);
  if (before > 0) places_[store] = {given.chunk, before, given.request_id};
  if (after == 0) return;
  const auto chunk = given.chunk ? std::optional(run.chunks.end()) : std::nullopt;
  places_[run.store + run.chunks.count] = {chunk, after, given.request_id};
}

bool SessionGrants::take(std::span<const WrittenRun> runs) {
  std::vector<StoreRun> sorted;
  sorted.reserve(runs.size());
  for (const auto& run : runs) {
    if (find(run) == places_.end()) return false;
    sorted.push_back({run.store, run.chunks.count});
  }
  std::ranges::sort(sorted, {}, &StoreRun::start);
  const auto twice = std::ranges::adjacent_find(
      sorted, [](const auto& a, const auto& b) { return a.overlaps(b); });
  if (twice != sorted.end()) return false;
  for (const auto& run : runs) {
    const auto place = find(run);
    answers_.erase(place->second.request_id);
    cut_out(place, run);
  }
  return true;
}

}  // namespace csnap
