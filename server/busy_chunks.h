// SPDX-License-Identifier: Apache-2.0
// Logical chunks whose exceptions are about to change: from the decision until the commit that
// holds it is durable. Whoever comes across one waits, so that nobody ever sees a state that a
// crash could undo. Runs do not overlap. Threading: the engine's thread.
#pragma once

#include <cassert>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "store/types.h"

namespace csnap {

class BusyChunks {
 public:
  bool empty() const { return runs_.empty(); }

  // The first busy run that overlaps `run`.
  std::optional<ChunkRun> find(ChunkRun run) const {
    const auto it = first_overlap(run);
    if (it == runs_.end()) return std::nullopt;
    return ChunkRun{it->first, it->second.count};
  }
  // REQUIRES: !find(run).
  void acquire(ChunkRun run) {
    assert(run.count > 0 && !find(run));
    runs_[run.start] = {run.count, {}};
  }
  // resume is returned when this run is released. REQUIRES: it is busy, as find() returned it.
  void wait(ChunkRun run, std::function<void()> resume) {
    const auto it = runs_.find(run.start);
    assert(it != runs_.end());
    it->second.waiters.push_back(std::move(resume));
  }
  // Who waits is returned as by release(), but the run stays busy for good.
  std::vector<std::function<void()>> give_up(ChunkRun run) {
    const auto it = runs_.find(run.start);
    assert(it != runs_.end());
    return std::exchange(it->second.waiters, {});
  }
  // REQUIRES: acquired as this very run.
  std::vector<std::function<void()>> release(ChunkRun run) {
    const auto it = runs_.find(run.start);
    assert(it != runs_.end() && it->second.count == run.count);
    auto waiters = std::move(it->second.waiters);
    runs_.erase(it);
    return waiters;
  }

 private:
  struct Entry {
    std::uint64_t count = 0;
    std::vector<std::function<void()>> waiters;
  };
  std::map<Chunk, Entry>::const_iterator first_overlap(ChunkRun run) const {
    auto it = runs_.upper_bound(run.start);
    if (it != runs_.begin()) {
      const auto before = std::prev(it);
      if (before->first + before->second.count > run.start) return before;
    }
    return it != runs_.end() && it->first < run.end() ? it : runs_.end();
  }
  std::map<Chunk, Entry> runs_;
};

}  // namespace csnap
