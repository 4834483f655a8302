// SPDX-License-Identifier: Apache-2.0
// Runs of chunks that somebody of this process is giving a place to: first writes to a snapshot's
// chunk go one after the other.
//
// Threading: any thread. A run is taken whole or not at all, so that two takers cannot wait for
// each other.
#pragma once

#include <condition_variable>
#include <list>
#include <mutex>

#include "store/types.h"

namespace csnap {

class ChunkLocks {
 public:
  class Hold {
   public:
    Hold(ChunkLocks& locks, ChunkRun run) : locks_(locks) {
      std::unique_lock lock(locks_.mutex_);
      locks_.changed_.wait(lock, [&] { return locks_.free(run); });
      held_ = locks_.runs_.insert(locks_.runs_.end(), run);
    }
    ~Hold() {
      {
        std::lock_guard lock(locks_.mutex_);
        locks_.runs_.erase(held_);
      }
      locks_.changed_.notify_all();
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    ChunkLocks& locks_;
    std::list<ChunkRun>::iterator held_;
  };

 private:
  bool free(ChunkRun run) const {
    for (const ChunkRun& other : runs_)
      if (other.overlaps(run)) return false;
    return true;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<ChunkRun> runs_;
};

}  // namespace csnap
