// SPDX-License-Identifier: Apache-2.0
// Queues of one device for callers on any thread: each call takes a queue for itself, submits and
// waits, and gives it back. Taking one is an atomic exchange on a slot that a thread is likely
// to have for itself. When the system has no more queues, a call waits for another's.
//
// Threading: any thread. Destroy only when no queue is out.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "store/device.h"
#include "store/status.h"

namespace csnap {

class QueuePool {
 public:
  class Queue {
   public:
    Queue(Queue&& other) noexcept : pool_(other.pool_), device_(std::move(other.device_)) {}
    Queue& operator=(Queue&&) = delete;
    ~Queue() {
      if (device_) pool_->give_back(std::move(device_));
    }
    Device& operator*() { return *device_; }
    Device* operator->() { return device_.get(); }

   private:
    friend class QueuePool;
    Queue(QueuePool* pool, std::unique_ptr<Device> device)
        : pool_(pool), device_(std::move(device)) {}
    QueuePool* pool_;
    std::unique_ptr<Device> device_;
  };

  explicit QueuePool(std::unique_ptr<Device> device);
  ~QueuePool();
  QueuePool(const QueuePool&) = delete;
  QueuePool& operator=(const QueuePool&) = delete;

  Result<Queue> take();
  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }
  std::uint32_t alignment() const { return alignment_; }
  bool direct() const { return direct_; }

 private:
  static constexpr std::size_t kSlots = 64;
  struct alignas(64) Slot {
    std::atomic<Device*> device{nullptr};
  };

  static std::size_t own_slot();
  // Null when nobody has left one.
  std::unique_ptr<Device> take_idle();
  void give_back(std::unique_ptr<Device> device);

  std::mutex mutex_;  // of first_ and made_
  std::unique_ptr<Device> first_;
  std::size_t made_ = 0;  // queues that there are, first_ not counted
  const std::string name_;
  const std::uint64_t size_;
  const std::uint32_t alignment_;
  const bool direct_;
  std::array<Slot, kSlots> slots_;
};

}  // namespace csnap
