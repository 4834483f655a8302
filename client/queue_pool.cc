// SPDX-License-Identifier: Apache-2.0
#include "client/queue_pool.h"

#include <utility>

namespace csnap {

QueuePool::QueuePool(std::unique_ptr<Device> device)
    : first_(std::move(device)),
      name_(first_->name()),
      size_(first_->size()),
      alignment_(first_->alignment()) {}

QueuePool::~QueuePool() {
  for (Slot& slot : slots_) delete slot.device.load();
}

std::size_t QueuePool::own_slot() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t slot = next.fetch_add(1) % kSlots;
  return slot;
}

Result<QueuePool::Queue> QueuePool::take() {
  const std::size_t own = own_slot();
  for (std::size_t i = 0; i < kSlots; ++i) {
    auto& slot = slots_[(own + i) % kSlots].device;
    if (slot.load(std::memory_order_relaxed) == nullptr) continue;
    if (Device* device = slot.exchange(nullptr))
      return Queue(this, std::unique_ptr<Device>(device));
  }
  std::lock_guard lock(mutex_);
  CSNAP_ASSIGN(auto device, first_->share());
  return Queue(this, std::move(device));
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
}

}  // namespace csnap
