// SPDX-License-Identifier: Apache-2.0
// Memory that a device may read into and write from: begins on a 4096-byte boundary, which
// satisfies every alignment a Device can ask for. Zero when made. Move-only; a moved-from buffer is
// empty. Whole multiples of kHugePage are asked of the system in huge pages, which spare whoever
// goes through them at random the search for each page.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>

namespace csnap {

class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 4096;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size) : size_(size) {
    if (size == 0) return;
    const bool huge = size % kHugePage == 0;
    const std::size_t alignment = huge ? kHugePage : kAlignment;
    const std::size_t whole = (size + alignment - 1) / alignment * alignment;
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, whole)));
    if (!memory_) throw std::bad_alloc();
    if (huge) madvise(memory_.get(), whole, MADV_HUGEPAGE);  // a wish: without it all works, too
    std::memset(memory_.get(), 0, whole);
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : memory_(std::move(other.memory_)), size_(other.size_) {
    other.size_ = 0;
  }
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    memory_ = std::move(other.memory_);
    size_ = other.size_;
    if (this != &other) other.size_ = 0;
    return *this;
  }

  std::byte* data() { return memory_.get(); }
  const std::byte* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<std::byte> span() { return {memory_.get(), size_}; }
  std::span<const std::byte> span() const { return {memory_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_ = 0;
};

}  // namespace csnap
