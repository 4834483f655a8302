// SPDX-License-Identifier: Apache-2.0
// What callers' threads look at on every request and the session's thread keeps up to date: the
// lease, the gates, what is remembered of the volume.
//
// Threading: any thread, except what says that it is the session's.
// Rule for I/O that relies on what is remembered: enter a gate, then look at the lease, then look
// at the memory, do the I/O, leave. Nothing may be remembered from before the gate.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "client/clock.h"
#include "client/gate.h"
#include "client/mapper.h"
#include "client/place_map.h"
#include "client/unique_map.h"

namespace csnap {

class VolumeState {
 public:
  explicit VolumeState(std::size_t place_cache_bytes) : places(place_cache_bytes) {}

  Gate writes;                        // to chunks known to be unique or rewritable
  Gate reads;                         // of places that are remembered
  std::unique_ptr<UniqueMap> unique;  // of the origin's chunks; null for a snapshot
  PlaceMap places;                    // of a snapshot's chunks

  bool lease_valid() const { return clock_ms() < lease_until_ms_.load(); }
  // Data read under a grant of this generation may be delivered now. The lease is looked at
  // first: it is renewed after the generation has changed.
  bool may_deliver(std::uint64_t generation) const {
    return lease_valid() && generation == read_generation_.load();
  }
  bool may_write(std::uint64_t generation) const {
    return lease_valid() && generation == write_generation_.load();
  }
  std::uint64_t read_generation() const { return read_generation_.load(); }

  // ok when the lease is valid; else waits. Why not, when the volume is gone or nobody waits for
  // the server any more.
  Status wait_lease();
  // Why the volume is gone; ok while it is not.
  Status gone() const;

  // -- the session's ---------------------------------------------------------------------------
  void publish(const Standing& standing);
  void end(const Status& why);
  void give_up(const Status& why);

 private:
  std::atomic<std::uint64_t> lease_until_ms_{0};
  std::atomic<std::uint64_t> read_generation_{0};
  std::atomic<std::uint64_t> write_generation_{0};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Status gone_;
  Status given_up_;
};

}  // namespace csnap
