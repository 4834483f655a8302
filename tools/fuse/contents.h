// SPDX-License-Identifier: Apache-2.0
// What the exception map says of snapshots: how much of the store each has, and where a snapshot
// has nothing but zeros. Threading: any thread; one question at a time. Errors: those of
// PatientAdmin.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "store/types.h"
#include "tools/fuse/snapshots.h"

namespace csnap {

class Contents {
 public:
  Contents(Snapshots& snapshots, std::vector<std::string> servers, std::string origin_path)
      : snapshots_(snapshots), admin_(std::move(servers)), origin_path_(std::move(origin_path)) {}
  ~Contents();
  Contents(const Contents&) = delete;
  Contents& operator=(const Contents&) = delete;

  struct Usage {
    std::uint64_t exclusive = 0, shared = 0;  // bytes of the store
  };
  // As it was a moment ago: a large map is not gone through each time somebody looks.
  Result<Usage> usage(const Admin::SnapshotEntry& snapshot);

  // The first byte at or after `offset` that is data, or that is a hole; the volume's size when
  // there is none. A hole is what lies in a hole of the origin, a file or a tree of block files,
  // where the snapshot has no exception. It never says hole of what is not all zeros, but for one
  // thing: a long search for a hole ends where data may go on, and says so when it is asked for
  // data there.
  Result<std::uint64_t> find(const Admin::SnapshotEntry& snapshot, Volume& volume, bool data,
                             std::uint64_t offset);
  // When the origin's file was changed last, if it is one, and here; in nanoseconds since 1970. 0:
  // not known.
  std::uint64_t origin_changed_at();

 private:
  using Clock = std::chrono::steady_clock;
  Status count();
  Status open_origin();

  Snapshots& snapshots_;
  PatientAdmin admin_;
  const std::string origin_path_;  // empty: where the server has it
  std::mutex mutex_;
  // Of the last count.
  std::array<Usage, kMaxSnapshots> usage_{};
  Uuid incarnation_;
  std::uint64_t commits_ = 0;
  bool counted_ = false;
  Clock::time_point counted_at_;
  Clock::duration took_{};
  int origin_ = -1;  // the file, if it is one, and the same as the server's
  bool origin_looked_for_ = false;
};

}  // namespace csnap
