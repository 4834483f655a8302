// SPDX-License-Identifier: Apache-2.0
// The simulated clock and what is to happen when. Events of one moment run in the order in which
// they were made. Nothing else moves time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace csnap::sim {

using Micros = std::uint64_t;
inline constexpr Micros kMilli = 1000;

class Scheduler {
 public:
  const Micros& now() const { return now_; }
  std::uint64_t now_ms() const { return now_ / kMilli; }
  void at(Micros when, std::function<void()> what) {
    events_.push_back({std::max(when, now_), next_++, std::move(what)});
    std::push_heap(events_.begin(), events_.end(), later);
  }
  void in(Micros delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  // Runs the next event. false: there is none.
  bool step() {
    if (events_.empty()) return false;
    std::pop_heap(events_.begin(), events_.end(), later);
    const Event event = std::move(events_.back());
    events_.pop_back();
    now_ = event.when;
    event.what();
    return true;
  }
  std::uint64_t steps() const { return next_; }

 private:
  struct Event {
    Micros when;
    std::uint64_t number;
    std::function<void()> what;
  };
  static bool later(const Event& a, const Event& b) {
    return a.when != b.when ? a.when > b.when : a.number > b.number;
  }
  Micros now_ = 1'000'000;
  std::uint64_t next_ = 0;
  std::vector<Event> events_;
};

}  // namespace csnap::sim
