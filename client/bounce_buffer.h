// SPDX-License-Identifier: Apache-2.0
// Memory that direct I/O accepts, for callers whose own is not aligned. Taken from and given back
// to a small stock that each thread keeps for itself.
//
// Threading: a buffer may be given back by another thread than took it; it then joins that one's
// stock.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace csnap {

class BounceBuffer {
 public:
  static constexpr std::size_t kAlignment = 4096;

  BounceBuffer() = default;
  explicit BounceBuffer(std::size_t size);  // at least that large; content undefined
  BounceBuffer(BounceBuffer&&) = default;
  BounceBuffer& operator=(BounceBuffer&& other) noexcept;
  ~BounceBuffer() { give_back(); }

  std::byte* data() { return memory_.get(); }
  std::span<std::byte> first(std::size_t bytes) { return {memory_.get(), bytes}; }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  using Memory = std::unique_ptr<std::byte, Free>;
  struct Stock;
  static Stock& stock();
  void give_back();

  Memory memory_;
  std::size_t capacity_ = 0;
};

}  // namespace csnap
