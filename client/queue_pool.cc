// SPDX-License-Identifier: Apache-2.0
#include "client/queue_pool.h"

#include <chrono>
#include <thread>
#include <utility>

namespace csnap {

namespace {

constexpr std::chrono::milliseconds kNextLook{1};

}  // namespace

QueuePool::QueuePool(std::unique_ptr<Device> device)
    : first_(std::move(device)),
      name_(first_->name()),
      size_(first_->size()),
      alignment_(first_->alignment()),
      direct_(first_->direct()) {}

QueuePool::~QueuePool() {
  for (Slot& slot : slots_) delete slot.device.load();
}

std::size_t QueuePool::own_slot() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t slot = next.fetch_add(1) % kSlots;
  return slot;
}

std::unique_ptr<Device> QueuePool::take_idle() {
  const std::size_t own = own_slot();
  for (std::size_t i = 0; i < kSlots; ++i) {
    auto& slot = slots_[(own + i) % kSlots].device;
    if (slot.load(std::memory_order_relaxed) == nullptr) continue;
    if (Device* device = slot.exchange(nullptr)) return std::unique_ptr<Device>(device);
  }
  return nullptr;
}

Result<QueuePool::Queue> QueuePool::take() {
  for (;;) {
    if (auto device = take_idle()) return Queue(this, std::move(device));
    {
      const std::lock_guard lock(mutex_);
      auto device = first_->share();
      if (device.ok()) {
        ++made_;
        return Queue(this, std::move(device).value());
      }
      if (device.status().code() != Code::unavailable || made_ == 0) return device.status();
    }
    // Rare enough that the fast path need not tell anybody of a queue that comes back.
    std::this_thread::sleep_for(kNextLook);
  }
}

void QueuePool::give_back(std::unique_ptr<Device> device) {
  const std::size_t own = own_slot();
  for (std::size_t i = 0; i < kSlots; ++i) {
    auto& slot = slots_[(own + i) % kSlots].device;
    Device* nothing = nullptr;
    if (slot.load(std::memory_order_relaxed) == nullptr &&
        slot.compare_exchange_strong(nothing, device.get())) {
      static_cast<void>(device.release());  // the slot owns it now
      return;
    }
  }
  const std::lock_guard lock(mutex_);
  --made_;  // one too many: it ends here
}

}  // namespace csnap
