// SPDX-License-Identifier: Apache-2.0
#include "client/spare_places.h"

#include <algorithm>

namespace csnap {

void SparePlaces::add(std::span<const StoreRun> places) {
  asking_ = false;
  for (const StoreRun& run : places) {
    places_.push_back(run);
    count_ += run.count;
  }
  low_ = count_ / 2;
}

void SparePlaces::learn(std::span<const ChunkRun> chunks, bool all_new) {
  promising_ = all_new;
  for (const ChunkRun& run : chunks)
    ask_first_.erase(ask_first_.lower_bound(run.start), ask_first_.lower_bound(run.end()));
}

void SparePlaces::wrong(std::span<const ChunkRun> chunks) {
  promising_ = false;
  for (const ChunkRun& run : chunks)
    for (Chunk c = run.start; c < run.end(); ++c) ask_first_.insert(c);
}

std::vector<WriteTarget> SparePlaces::take(std::span<const ChunkRun> chunks) {
  std::uint64_t needed = 0;
  for (const ChunkRun& run : chunks) {
    const auto known = ask_first_.lower_bound(run.start);
    if (known != ask_first_.end() && *known < run.end()) return {};
    needed += run.count;
  }
  // Rather a question at half than a wait at the end.
  if (!promising_ || needed > count_ || wanted() > 0) return {};
  count_ -= needed;
  std::vector<WriteTarget> targets;
  for (ChunkRun run : chunks) {
    while (run.count > 0) {
      StoreRun& front = places_.front();
      const std::uint64_t now = std::min(run.count, front.count);
      targets.push_back({{run.start, now}, front.start, true});
      run = {run.start + now, run.count - now};
      front = {front.start + now, front.count - now};
      if (front.count == 0) places_.pop_front();
    }
  }
  return targets;
}

void SparePlaces::clear() {
  places_.clear();
  ask_first_.clear();
  count_ = low_ = 0;
  asking_ = promising_ = false;
}

}  // namespace csnap
