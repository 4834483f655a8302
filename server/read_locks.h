// SPDX-License-Identifier: Apache-2.0
// Which origin chunks snapshot readers are reading at this moment, and who waits for them.
// A lock belongs to one read of one client and covers runs of chunks. A writer asks whether any
// lock overlaps its ranges and, if so, is called once all that did are gone.
//
// Runs are filed under granules of 64 chunks, so that small and large ranges both cost what they
// touch. Threading: the engine's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "store/types.h"

namespace csnap {

class ReadLocks {
 public:
  using Owner = std::pair<std::uint64_t, std::uint64_t>;  // client key, read id

  // Adds a run to what the owner holds. A run may be locked by any number of owners.
  void lock(Owner owner, ChunkRun run);
  // Lets go of everything the owner holds. Returns the waiters that have nothing left to wait for.
  std::vector<std::function<void()>> unlock(Owner owner);
  // The same for every read of a client.
  std::vector<std::function<void()>> unlock_client(std::uint64_t client);

  bool empty() const { return owners_.empty(); }
  bool overlaps(std::span<const ChunkRun> runs) const;
  // resume is returned by the unlock that removes the last of the locks that overlap these runs
  // now. (Locks taken later do not count: the exceptions that a writer waits behind send new
  // readers elsewhere.) REQUIRES: overlaps(runs).
  void wait(std::span<const ChunkRun> runs, std::function<void()> resume);

  struct Held {
    Owner owner;
    ChunkRun run;
    std::uint64_t waiting = 0;
  };
  std::vector<Held> all() const;

 private:
  struct Waiter {
    std::size_t owners_left = 0;
    std::function<void()> resume;
  };
  struct OwnerState {
    std::vector<ChunkRun> runs;
    std::vector<std::uint64_t> waiters;
  };
  template <class F>
  void each_overlapping_owner(std::span<const ChunkRun> runs, F&& visit) const;

  std::map<Owner, OwnerState> owners_;
  std::unordered_map<std::uint64_t, std::vector<std::pair<Owner, ChunkRun>>> granules_;
  std::unordered_map<std::uint64_t, Waiter> waiters_;
  std::uint64_t next_waiter_ = 1;
};

}  // namespace csnap
