// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/snapshot_maker.h"

#include <unistd.h>

namespace csnap {

Result<std::unique_ptr<SnapshotMaker>> SnapshotMaker::connect(const std::string& address,
                                                              std::chrono::milliseconds every) {
  AdminOptions options;
  options.addresses = {address};
  CSNAP_ASSIGN(auto admin, Admin::connect(options));
  return std::unique_ptr<SnapshotMaker>(new SnapshotMaker(std::move(admin), every));
}

void SnapshotMaker::start() {
  thread_ = std::thread([this] { run(); });
}

Status SnapshotMaker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  return failure_;
}

void SnapshotMaker::run() {
  const std::string prefix = "csnap-bench-" + std::to_string(::getpid()) + "-";
  auto next = std::chrono::steady_clock::now();
  for (int i = 0; failure_.ok(); ++i) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_until(lock, next, [this] { return stopping_; })) return;
    lock.unlock();
    failure_ = make_one(prefix + std::to_string(i));
    next = std::max(next + every_, std::chrono::steady_clock::now());
  }
}

Status SnapshotMaker::make_one(const std::string& name) {
  const auto began = std::chrono::steady_clock::now();
  const auto created = admin_->create(name);
  if (!created.ok()) return created.status();
  const auto took = std::chrono::steady_clock::now() - began;
  created_.add(static_cast<std::uint64_t>(std::chrono::nanoseconds(took).count()));
  return admin_->remove(name, false);
}

}  // namespace csnap
