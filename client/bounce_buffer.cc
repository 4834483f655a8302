// SPDX-License-Identifier: Apache-2.0
#include "client/bounce_buffer.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

namespace csnap {

// A thread keeps at most so many buffers, and none larger than a usual request.
struct BounceBuffer::Stock {
  static constexpr std::size_t kBuffers = 4;
  static constexpr std::size_t kLargest = 1u << 20;
  std::vector<std::pair<std::size_t, Memory>> buffers;
};

BounceBuffer::Stock& BounceBuffer::stock() {
  thread_local Stock stock;
  return stock;
}

void BounceBuffer::Free::operator()(std::byte* p) const {
  std::free(p);
}

BounceBuffer::BounceBuffer(std::size_t size) {
  auto& buffers = stock().buffers;
  const auto fits =
      std::find_if(buffers.begin(), buffers.end(), [&](const auto& b) { return b.first >= size; });
  if (fits != buffers.end()) {
    capacity_ = fits->first;
    memory_ = std::move(fits->second);
    buffers.erase(fits);
    return;
  }
  capacity_ = std::bit_ceil(std::max(size, kAlignment));
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, capacity_)));
  if (memory_ == nullptr) throw std::bad_alloc();
}

BounceBuffer& BounceBuffer::operator=(BounceBuffer&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  memory_ = std::move(other.memory_);
  capacity_ = other.capacity_;
  return *this;
}

void BounceBuffer::give_back() {
  if (memory_ == nullptr || capacity_ > Stock::kLargest) {
    memory_.reset();
    return;
  }
  auto& buffers = stock().buffers;
  if (buffers.size() == Stock::kBuffers) buffers.erase(buffers.begin());
  buffers.emplace_back(capacity_, std::move(memory_));
}

}  // namespace csnap
