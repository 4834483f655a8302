// SPDX-License-Identifier: Apache-2.0
// The in-flight gate: counts the I/O that relies on what the client remembers (unique chunks,
// places in the store), so that a barrier can stop new I/O, wait for the old and then forget.
//
// Counters are striped by address. The common entry is one atomic add per stripe touched and no
// lock. A stripe can also be entered alone, which keeps everybody else out of it: that is how a
// sector is read, modified and written while others write to its neighbours.
//
// Threading: everything may be called from any thread; close(), reopen() and shut() from one
// thread at a time. The function given to close() runs once, on the thread that left last or on
// the caller's, and may not call back into the gate before that thread's call returns.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace csnap {

class Gate {
 public:
  static constexpr unsigned kStripes = 64;
  static constexpr unsigned kStripeShift = 20;  // bytes of a volume that share a stripe: 1 MiB

  // A pass through the gate; empty when the gate was shut for good.
  class Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept { *this = std::move(other); }
    Pass& operator=(Pass&& other) noexcept;
    ~Pass() { leave(); }
    explicit operator bool() const { return gate_ != nullptr; }
    void leave();

   private:
    friend class Gate;
    Gate* gate_ = nullptr;
    std::uint64_t stripes_ = 0;
    bool alone_ = false;
  };

  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Waits while the gate is closed or somebody is alone in one of the stripes.
  Pass enter(std::uint64_t offset, std::uint64_t length);
  // Also waits until everybody has left the range's stripe, and keeps others out of it.
  // REQUIRES: the range lies in one stripe.
  Pass enter_alone(std::uint64_t offset, std::uint64_t length);

  // Lets nobody in any more and calls drained() when everybody is out.
  void close(std::function<void()> drained);
  // REQUIRES: closed and drained.
  void reopen();
  // Turns away everybody who waits or will come. A close() under way still drains.
  void shut();

 private:
  static constexpr std::uint32_t kClosed = 1u << 31;
  static constexpr std::uint32_t kAlone = 1u << 30;
  static constexpr std::uint32_t kCount = kAlone - 1;

  struct alignas(64) Stripe {
    std::atomic<std::uint32_t> state{0};
  };

  static std::uint64_t stripes_of(std::uint64_t offset, std::uint64_t length);
  bool try_enter(std::uint64_t stripes);
  bool try_enter_alone(unsigned stripe);
  void leave_shared(std::uint64_t stripes);
  void leave_alone(std::uint64_t stripes);
  void after_blocked_leave();
  bool blocked(std::uint64_t stripes) const;
  bool empty() const;

  std::array<Stripe, kStripes> stripes_;
  std::atomic<bool> shut_{false};

  std::mutex mutex_;  // only for waiting; never on the way of an entry that need not wait
  std::condition_variable changed_;
  std::function<void()> drained_;
};

}  // namespace csnap
