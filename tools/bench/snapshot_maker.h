// SPDX-License-Identifier: Apache-2.0
// Creates a snapshot every so often and deletes it again, while the load goes on.
//
// Threading: a thread of its own, from start() to stop(); all else belongs to the caller's.
// Errors: the first ends it, and is what stop() returns.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "client/admin.h"
#include "tools/bench/latencies.h"

namespace csnap {

class SnapshotMaker {
 public:
  static Result<std::unique_ptr<SnapshotMaker>> connect(const std::string& address,
                                                        std::chrono::milliseconds every);
  ~SnapshotMaker() { static_cast<void>(stop()); }  // who wants the outcome has called stop()

  void start();
  Status stop();
  // How long each creation took, from the request to the answer. After stop().
  const Latencies& created() const { return created_; }

 private:
  SnapshotMaker(std::unique_ptr<Admin> admin, std::chrono::milliseconds every)
      : admin_(std::move(admin)), every_(every) {}
  void run();
  Status make_one(const std::string& name);

  const std::unique_ptr<Admin> admin_;
  const std::chrono::milliseconds every_;
  Latencies created_;
  Status failure_;
  std::mutex mutex_;  // of stopping_
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace csnap
