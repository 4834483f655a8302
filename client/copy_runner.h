// SPDX-License-Identifier: Apache-2.0
// Makes the copies that the server would have this volume's client make: a few threads that read
// the source, take its checksums, and write it to its place in the store. Nothing is flushed: the
// server does that when it commits.
//
// Threading: add() from the session's thread, which it never holds up. The destructor waits for the
// copies that have begun.
// Errors: told to the server, which then copies itself. No copy begins, nor goes from its reading
// to its writing, when the session's lease is over or its grants are void: the place may be
// somebody else's.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "client/bounce_buffer.h"
#include "client/mapping.h"
#include "client/queue_pool.h"
#include "client/session.h"
#include "client/volume_state.h"

namespace csnap {

class CopyRunner {
 public:
  // Offers it. All of these must outlive it. The store must be writable.
  CopyRunner(const SessionInfo& info, VolumeState& state, VolumeSession& session, QueuePool& origin,
             QueuePool& store);
  ~CopyRunner();
  CopyRunner(const CopyRunner&) = delete;
  CopyRunner& operator=(const CopyRunner&) = delete;

 private:
  using Checksums = Result<std::vector<std::uint32_t>>;

  void add(const CopyTask& task);
  void run();
  Checksums copy(const CopyTask& task);
  Status read(const CopyTask& task, std::span<std::byte> data);
  Status write(const CopyTask& task, std::span<const std::byte> data);
  Status allowed(const CopyTask& task) const;

  const SessionInfo& info_;
  VolumeState& state_;
  VolumeSession& session_;
  QueuePool& origin_;
  QueuePool& store_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<CopyTask> tasks_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace csnap
