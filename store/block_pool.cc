// SPDX-License-Identifier: Apache-2.0
#include "store/block_pool.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CSNAP_ADDRESS_SANITIZER
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CSNAP_ADDRESS_SANITIZER
#endif
#ifdef CSNAP_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace csnap {
namespace {

// Under the address sanitizer, a span that outlived its block is found at its first use.
void forbid([[maybe_unused]] std::byte* memory, [[maybe_unused]] std::size_t size) {
#ifdef CSNAP_ADDRESS_SANITIZER
  ASAN_POISON_MEMORY_REGION(memory, size);
#endif
}

void allow([[maybe_unused]] std::byte* memory, [[maybe_unused]] std::size_t size) {
#ifdef CSNAP_ADDRESS_SANITIZER
  ASAN_UNPOISON_MEMORY_REGION(memory, size);
#endif
}

}  // namespace

BlockPool::~BlockPool() {
  for (auto& slab : slabs_) allow(slab.data(), slab.size());
}

std::byte* BlockPool::take() {
  if (free_.empty()) {
    const bool small = slabs_.size() < kSmallSlabs;
    AlignedBuffer& slab = slabs_.emplace_back(small ? kSmallSlab : AlignedBuffer::kHugePage);
    for (std::size_t i = slab.size() / kBlockSize; i-- > 0;)
      free_.push_back(slab.data() + i * kBlockSize);
    forbid(slab.data(), slab.size());
  }
  std::byte* block = free_.back();
  free_.pop_back();
  allow(block, kBlockSize);
  ++used_;
  return block;
}

void BlockPool::give_back(std::byte* block) {
  forbid(block, kBlockSize);
  free_.push_back(block);
  --used_;
}

}  // namespace csnap
