// SPDX-License-Identifier: Apache-2.0
// Breaks what passes through it. FaultPlan says what goes wrong and when; FaultDevice wraps any
// Device and obeys; one plan may govern several devices, and the test keeps the plan.
//
// A fault waits for the N-th request that matches it, counted from the moment it was added (1 is
// the next). A request is counted when it is submitted; of several faults that are due, the one
// added first is carried out, all count.
// To try every I/O of an operation in turn: fail(N, ...) for N = 1, 2, 3 ... until triggered() says
// that it did not come to that.
// Threading: a plan, any thread; a device, one at a time. There is no event fd: the owner polls.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "store/aligned_buffer.h"
#include "store/device.h"

namespace csnap {

enum class Often { once, for_ever };  // for_ever: the N-th and all that match after it

class FaultPlan {
 public:
  // Which requests a fault looks at; all parts must agree.
  struct Match {
    std::optional<IoKind> kind = std::nullopt;
    // Requests that touch bytes [from, to); flushes touch none.
    std::optional<std::uint64_t> from = std::nullopt;
    std::optional<std::uint64_t> to = std::nullopt;
  };
  static Match any() { return Match(); }
  static Match reads() { return Match{.kind = IoKind::read}; }
  static Match writes() { return Match{.kind = IoKind::write}; }
  static Match flushes() { return Match{.kind = IoKind::flush}; }

  // Ends with this status and never reaches the device.
  void fail(std::uint64_t nth, Match match, Often often, Status status);
  // As fail() with a plain io_error.
  void fail(std::uint64_t nth, Match match, Often often = Often::once);
  // Reaches the device only after so many calls of poll() or wait().
  void delay(std::uint64_t nth, Match match, std::uint64_t polls, Often often = Often::once);
  // Goes to, or comes from, another place; says ok.
  void misdirect(std::uint64_t nth, Match match, std::uint64_t offset);
  // One bit of the data is wrong (counted from its start); says ok.
  void flip_bit(std::uint64_t nth, Match match, std::uint64_t bit, Often often = Often::once);
  // Is not done at all; says ok. A flush that lies, a write that is lost.
  void lose(std::uint64_t nth, Match match, Often often = Often::once);
  // The request is submitted, then cut() runs (MemoryVolume::crash, say), and from then on every
  // request of every device under this plan ends with io_error "power failed".
  void cut_power(std::uint64_t nth, Match match, std::function<void()> cut = nullptr);
  // No faults any more, power back. Counters and trace stay.
  void heal();

  // How often any fault struck.
  std::uint64_t triggered() const;
  struct Counters {
    std::uint64_t reads = 0, writes = 0, flushes = 0;
    std::uint64_t total() const { return reads + writes + flushes; }
  };
  Counters counters() const;  // submitted

  struct Traced {
    IoKind kind;
    std::uint64_t offset;
    std::uint64_t length;
    bool operator==(const Traced&) const = default;
  };
  void start_trace();
  std::vector<Traced> take_trace();  // ends it

 private:
  friend class FaultDevice;
  enum class Effect { none, fail, delay, misdirect, flip, lose, cut };
  struct Action {
    Effect effect = Effect::none;
    std::uint64_t number = 0;  // polls, offset or bit
    Status status;
    std::function<void()> cut;
  };
  struct Fault {
    Match match;
    std::uint64_t left;  // matching requests until it strikes; 0: it has struck
    Often often;
    Action action;
  };
  void add(std::uint64_t nth, Match match, Often often, Action action);
  Action next(const std::string& device, const IoRequest& request);
  bool powered() const;

  mutable std::mutex mutex_;
  std::deque<Fault> faults_;
  bool powered_ = true;
  bool tracing_ = false;
  std::vector<Traced> trace_;
  Counters counters_;
  std::uint64_t triggered_ = 0;
};

class FaultDevice : public Device {
 public:
  FaultDevice(std::unique_ptr<Device> inner, std::shared_ptr<FaultPlan> plan);

  const std::string& name() const override { return inner_->name(); }
  std::uint64_t size() const override { return inner_->size(); }
  std::uint32_t alignment() const override { return inner_->alignment(); }
  bool read_only() const override { return inner_->read_only(); }
  void submit(IoRequest request) override;
  void kick() override { inner_->kick(); }
  std::size_t poll() override;
  std::size_t wait() override;
  std::size_t in_flight() const override { return in_flight_; }
  Result<std::unique_ptr<Device>> share() override;

  Device& inner() { return *inner_; }

 private:
  struct Own {  // a request that ends here
    std::function<void(Status)> done;
    Status status;
  };
  struct Delayed {
    IoRequest request;
    std::uint64_t polls;
  };
  void finish(std::function<void(Status)> done, Status status);
  void pass_on(IoRequest request);
  void pass_on_flipped(IoRequest request, std::uint64_t bit);
  std::size_t round(bool block);

  std::unique_ptr<Device> inner_;
  std::shared_ptr<FaultPlan> plan_;
  std::deque<Own> own_;
  std::deque<Delayed> delayed_;
  std::size_t in_flight_ = 0;
  std::size_t delivered_ = 0;  // ever
};

}  // namespace csnap
