// SPDX-License-Identifier: Apache-2.0
#include "client/gate.h"

#include <bit>
#include <cassert>
#include <utility>

namespace csnap {

namespace {

// Calls f(stripe) for each set bit, in ascending order.
template <class F>
void for_each_stripe(std::uint64_t stripes, F f) {
  for (; stripes != 0; stripes &= stripes - 1) f(static_cast<unsigned>(std::countr_zero(stripes)));
}

}  // namespace

Gate::Pass& Gate::Pass::operator=(Pass&& other) noexcept {
  if (this == &other) return *this;
  leave();
  gate_ = std::exchange(other.gate_, nullptr);
  stripes_ = other.stripes_;
  alone_ = other.alone_;
  return *this;
}

void Gate::Pass::leave() {
  Gate* gate = std::exchange(gate_, nullptr);
  if (gate == nullptr) return;
  if (alone_)
    gate->leave_alone(stripes_);
  else
    gate->leave_shared(stripes_);
}

std::uint64_t Gate::stripes_of(std::uint64_t offset, std::uint64_t length) {
  assert(length > 0);
  const std::uint64_t first = offset >> kStripeShift;
  const std::uint64_t last = (offset + length - 1) >> kStripeShift;
  if (last - first >= kStripes) return ~std::uint64_t{0};
  std::uint64_t stripes = 0;
  for (std::uint64_t i = first; i <= last; ++i) stripes |= std::uint64_t{1} << (i % kStripes);
  return stripes;
}

bool Gate::try_enter(std::uint64_t stripes) {
  std::uint64_t entered = 0;
  bool turned_away = false;
  for_each_stripe(stripes, [&](unsigned i) {
    if (turned_away) return;
    const std::uint32_t before = stripes_[i].state.fetch_add(1);
    entered |= std::uint64_t{1} << i;
    turned_away = (before & (kClosed | kAlone)) != 0;
  });
  if (!turned_away) return true;
  leave_shared(entered);  // holding some while waiting for others could keep close() waiting
  return false;
}

bool Gate::try_enter_alone(unsigned stripe) {
  std::atomic<std::uint32_t>& state = stripes_[stripe].state;
  if ((state.fetch_or(kAlone) & kAlone) != 0) return false;  // another one's
  // From here on newcomers are turned away, and each who leaves looks whether to wake us.
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return (state & kCount) == 0 || (state & kClosed) != 0 || shut_; });
  std::uint32_t only_us = kAlone;
  if (!shut_ && state.compare_exchange_strong(only_us, kAlone | 1)) return true;
  state.fetch_and(~kAlone);
  lock.unlock();
  changed_.notify_all();
  return false;
}

void Gate::leave_shared(std::uint64_t stripes) {
  bool somebody_waits = false;
  for_each_stripe(stripes, [&](unsigned i) {
    const std::uint32_t before = stripes_[i].state.fetch_sub(1);
    assert((before & kCount) != 0);
    somebody_waits |= (before & (kClosed | kAlone)) != 0;
  });
  if (somebody_waits) after_blocked_leave();
}

void Gate::leave_alone(std::uint64_t stripes) {
  for_each_stripe(stripes, [&](unsigned i) { stripes_[i].state.fetch_sub(kAlone | 1); });
  after_blocked_leave();
}

void Gate::after_blocked_leave() {
  std::function<void()> drained;
  {
    std::lock_guard lock(mutex_);
    if (drained_ && empty()) drained = std::exchange(drained_, nullptr);
  }
  changed_.notify_all();
  if (drained) drained();
}

bool Gate::blocked(std::uint64_t stripes) const {
  bool any = false;
  for_each_stripe(stripes,
                  [&](unsigned i) { any |= (stripes_[i].state & (kClosed | kAlone)) != 0; });
  return any;
}

bool Gate::empty() const {
  for (const Stripe& s : stripes_)
    if ((s.state & kCount) != 0) return false;
  return true;
}

Gate::Pass Gate::enter(std::uint64_t offset, std::uint64_t length) {
  Pass pass;
  pass.stripes_ = stripes_of(offset, length);
  while (!shut_) {
    if (try_enter(pass.stripes_)) {
      pass.gate_ = this;
      return pass;
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return shut_ || !blocked(pass.stripes_); });
  }
  return pass;
}

Gate::Pass Gate::enter_alone(std::uint64_t offset, std::uint64_t length) {
  Pass pass;
  pass.stripes_ = stripes_of(offset, length);
  pass.alone_ = true;
  assert(std::has_single_bit(pass.stripes_));
  while (!shut_) {
    if (try_enter_alone(static_cast<unsigned>(std::countr_zero(pass.stripes_)))) {
      pass.gate_ = this;
      return pass;
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return shut_ || !blocked(pass.stripes_); });
  }
  return pass;
}

void Gate::close(std::function<void()> drained) {
  {
    std::lock_guard lock(mutex_);
    assert(!drained_);
    for (Stripe& s : stripes_) s.state.fetch_or(kClosed);
    if (!empty()) {
      drained_ = std::move(drained);
      return;
    }
  }
  drained();
}

void Gate::reopen() {
  {
    std::lock_guard lock(mutex_);
    assert(!drained_);
    for (Stripe& s : stripes_) s.state.fetch_and(~kClosed);
  }
  changed_.notify_all();
}

void Gate::shut() {
  {
    std::lock_guard lock(mutex_);
    shut_ = true;
  }
  changed_.notify_all();
}

}  // namespace csnap
