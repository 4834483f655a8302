// SPDX-License-Identifier: Apache-2.0
// Keeps freed store chunks from being used again
//   while a client may still be reading them: a chunk freed at some moment is let go when every
//   snapshot read that had begun by then has ended;
//   until a checkpoint holds the state without them: so data only ever goes to chunks that were
//   free at the checkpoint before, and replay from there, which keeps the places of all data to
//   come apart from the first, finds as much room for the tree as there was when it happened.
// The frees must be durable when they are added. Threading: the engine's thread.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <vector>

#include "store/types.h"

namespace csnap {

class Quarantine {
 public:
  using Ticket = std::uint64_t;

  // A read begins, and ends: between the two, nothing freed after the beginning is let go.
  Ticket begin_read() {
    ++reads_[now_];
    return now_;
  }
  void end_read(Ticket ticket) {
    const auto it = reads_.find(ticket);
    assert(it != reads_.end());
    if (--it->second == 0) reads_.erase(it);
  }
  // checkpoint: the number of the first that holds the state without them.
  void add(std::vector<StoreRun> runs, std::uint64_t checkpoint) {
    waiting_.push_back({now_, checkpoint, std::move(runs)});
    ++now_;
  }
  // May something be used again when so many checkpoints are complete?
  bool has(std::uint64_t checkpoints) const {
    return !waiting_.empty() && waiting_.front().checkpoint <= checkpoints &&
           (reads_.empty() || waiting_.front().freed < reads_.begin()->first);
  }
  // That, at most so many runs.
  std::vector<StoreRun> take(std::uint64_t checkpoints,
                             std::size_t limit = std::numeric_limits<std::size_t>::max()) {
    std::vector<StoreRun> free;
    while (has(checkpoints) && free.size() < limit) {
      auto& runs = waiting_.front().runs;
      const std::size_t left = std::min(runs.size(), limit - free.size());
      free.insert(free.end(), runs.end() - static_cast<std::ptrdiff_t>(left), runs.end());
      runs.resize(runs.size() - left);
      if (runs.empty()) waiting_.pop_front();
    }
    return free;
  }
  // Is there something that another checkpoint would let go?
  bool waits_for_more_than(std::uint64_t checkpoints) const {
    return !waiting_.empty() && waiting_.back().checkpoint > checkpoints;
  }

 private:
  struct Batch {
    Ticket freed = 0;
    std::uint64_t checkpoint = 0;
    std::vector<StoreRun> runs;
  };
  Ticket now_ = 1;
  std::map<Ticket, std::uint64_t> reads_;  // begun then and not ended
  std::deque<Batch> waiting_;
};

}  // namespace csnap
