// SPDX-License-Identifier: Apache-2.0
#include "client/queue_pool.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <optional>

namespace csnap {
namespace {

// Does nothing; a system that has `left` more queues.
class LimitedDevice : public Device {
 public:
  explicit LimitedDevice(std::shared_ptr<int> left) : left_(std::move(left)) {}
  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return 4096; }
  std::uint32_t alignment() const override { return 512; }
  bool read_only() const override { return false; }
  void submit(IoRequest) override {}
  void kick() override {}
  std::size_t poll() override { return 0; }
  std::size_t wait() override { return 0; }
  std::size_t in_flight() const override { return 0; }
  int event_fd() const override { return -1; }
  Result<std::unique_ptr<Device>> share() override {
    if (*left_ == 0) return Status(Code::unavailable, "no more");
    --*left_;
    return std::unique_ptr<Device>(std::make_unique<LimitedDevice>(left_));
  }

 private:
  const std::string name_ = "limited";
  std::shared_ptr<int> left_;
};

}  // namespace

TEST_CASE("a queue that came back is used again") {
  QueuePool pool(std::make_unique<LimitedDevice>(std::make_shared<int>(1)));
  for (int i = 0; i < 3; ++i) REQUIRE(pool.take().ok());
}

TEST_CASE("when the system has no more queues, a call waits for another's") {
  QueuePool pool(std::make_unique<LimitedDevice>(std::make_shared<int>(1)));
  std::optional<QueuePool::Queue> first(pool.take().value());
  auto second = std::async(std::launch::async, [&pool] { return pool.take().ok(); });
  CHECK(second.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  first.reset();
  CHECK(second.get());
}

TEST_CASE("when the system has no queue at all, that is an error") {
  QueuePool pool(std::make_unique<LimitedDevice>(std::make_shared<int>(0)));
  CHECK(pool.take().status().code() == Code::unavailable);
}

}  // namespace csnap
