// SPDX-License-Identifier: Apache-2.0
#include "store/fault_device.h"

#include <cassert>
#include <cstring>
#include <utility>

#include "store/device_request.h"

namespace csnap {
namespace {

bool matches(const FaultPlan::Match& match, const IoRequest& request) {
  if (match.kind && *match.kind != request.kind) return false;
  if (!match.from && !match.to) return true;
  if (request.kind == IoKind::flush) return false;
  if (match.to && request.offset >= *match.to) return false;
  return !match.from || request.offset + request.data.size() > *match.from;
}

Status power_failed(const std::string& device, const IoRequest& request) {
  return Status(Code::io_error,
                describe_request(device, request.kind, request.offset, request.data.size()) +
                    ": power failed");
}

}  // namespace

void FaultPlan::add(std::uint64_t nth, Match match, Often often, Action action) {
  assert(nth > 0);
  const std::lock_guard lock(mutex_);
  faults_.push_back({match, nth, often, std::move(action)});
}

void FaultPlan::fail(std::uint64_t nth, Match match, Often often, Status status) {
  add(nth, match, often, {Effect::fail, 0, std::move(status), nullptr});
}

void FaultPlan::fail(std::uint64_t nth, Match match, Often often) {
  fail(nth, match, often, Status(Code::io_error, "fault injected"));
}

void FaultPlan::delay(std::uint64_t nth, Match match, std::uint64_t polls, Often often) {
  add(nth, match, often, {Effect::delay, polls, Status(), nullptr});
}

void FaultPlan::misdirect(std::uint64_t nth, Match match, std::uint64_t offset) {
  add(nth, match, Often::once, {Effect::misdirect, offset, Status(), nullptr});
}

void FaultPlan::flip_bit(std::uint64_t nth, Match match, std::uint64_t bit, Often often) {
  add(nth, match, often, {Effect::flip, bit, Status(), nullptr});
}

void FaultPlan::lose(std::uint64_t nth, Match match, Often often) {
  add(nth, match, often, {Effect::lose, 0, Status(), nullptr});
}

void FaultPlan::cut_power(std::uint64_t nth, Match match, std::function<void()> cut) {
  add(nth, match, Often::once, {Effect::cut, 0, Status(), std::move(cut)});
}

void FaultPlan::heal() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
  powered_ = true;
}

std::uint64_t FaultPlan::triggered() const {
  const std::lock_guard lock(mutex_);
  return triggered_;
}

FaultPlan::Counters FaultPlan::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

void FaultPlan::start_trace() {
  const std::lock_guard lock(mutex_);
  tracing_ = true;
  trace_.clear();
}

std::vector<FaultPlan::Traced> FaultPlan::take_trace() {
  const std::lock_guard lock(mutex_);
  tracing_ = false;
  return std::exchange(trace_, {});
}

bool FaultPlan::powered() const {
  const std::lock_guard lock(mutex_);
  return powered_;
}

// Counts the request and says what is to happen to it.
FaultPlan::Action FaultPlan::next(const std::string& device, const IoRequest& request) {
  const std::lock_guard lock(mutex_);
  ++(request.kind == IoKind::read    ? counters_.reads
     : request.kind == IoKind::write ? counters_.writes
                                     : counters_.flushes);
  if (tracing_) trace_.push_back({request.kind, request.offset, request.data.size()});
  if (!powered_) return {Effect::fail, 0, power_failed(device, request), nullptr};
  Action chosen;
  for (Fault& fault : faults_) {
    if (!matches(fault.match, request)) continue;
    if (fault.left > 0)
      --fault.left;
    else if (fault.often == Often::once)
      continue;
    if (fault.left > 0 || chosen.effect != Effect::none) continue;
    chosen = fault.action;
  }
  if (chosen.effect == Effect::none) return chosen;
  ++triggered_;
  if (chosen.effect == Effect::cut) powered_ = false;
  if (chosen.effect == Effect::fail)
    chosen.status = chosen.status.with_context(
        describe_request(device, request.kind, request.offset, request.data.size()));
  return chosen;
}

FaultDevice::FaultDevice(std::unique_ptr<Device> inner, std::shared_ptr<FaultPlan> plan)
    : inner_(std::move(inner)), plan_(std::move(plan)) {}

void FaultDevice::finish(std::function<void(Status)> done, Status status) {
  own_.push_back({std::move(done), std::move(status)});
}

void FaultDevice::pass_on(IoRequest request) {
  const std::string what =
      describe_request(name(), request.kind, request.offset, request.data.size());
  request.done = [this, what, done = std::move(request.done)](Status status) {
    --in_flight_;
    ++delivered_;
    // What the device still did after the power failed, nobody heard of.
    if (status.ok() && !plan_->powered()) status = Status(Code::io_error, what + ": power failed");
    done(std::move(status));
  };
  inner_->submit(std::move(request));
}

void FaultDevice::pass_on_flipped(IoRequest request, std::uint64_t bit) {
  if (request.data.empty()) {
    pass_on(std::move(request));
    return;
  }
  const std::uint64_t at = bit / 8 % request.data.size();
  const auto wrong = static_cast<std::byte>(1 << bit % 8);
  if (request.kind == IoKind::read) {
    request.done = [data = request.data, at, wrong, done = std::move(request.done)](Status status) {
      if (status.ok()) data[at] ^= wrong;
      done(std::move(status));
    };
  } else {
    // The submitter's memory is not ours to change.
    auto copy = std::make_shared<AlignedBuffer>(request.data.size());
    std::memcpy(copy->data(), request.data.data(), request.data.size());
    copy->span()[at] ^= wrong;
    request.data = copy->span();
    request.done = [copy, done = std::move(request.done)](Status status) {
      done(std::move(status));
    };
  }
  pass_on(std::move(request));
}

void FaultDevice::submit(IoRequest request) {
  ++in_flight_;
  if (Status refused = check_request(*this, request); !refused.ok()) {
    finish(std::move(request.done), std::move(refused));
    return;
  }
  FaultPlan::Action action = plan_->next(name(), request);
  using Effect = FaultPlan::Effect;
  switch (action.effect) {
    case Effect::fail:
      finish(std::move(request.done), std::move(action.status));
      return;
    case Effect::lose:
      finish(std::move(request.done), Status());
      return;
    case Effect::delay:
      delayed_.push_back({std::move(request), action.number});
      return;
    case Effect::misdirect:
      request.offset = action.number;
      break;
    case Effect::flip:
      pass_on_flipped(std::move(request), action.number);
      return;
    case Effect::none:
    case Effect::cut:
      break;
  }
  pass_on(std::move(request));
  if (action.cut) action.cut();
}

std::size_t FaultDevice::poll() {
  return round(false);
}

std::size_t FaultDevice::wait() {
  assert(in_flight() > 0);
  for (;;) {
    // Time is counted in calls: while something is delayed, or ends here, the inner device may have
    // nothing to wait for.
    const bool block = own_.empty() && delayed_.empty();
    if (const std::size_t n = round(block); n > 0) return n;
  }
}

std::size_t FaultDevice::round(bool block) {
  const std::size_t before = delivered_;
  for (std::size_t left = delayed_.size(); left > 0; --left) {
    Delayed delayed = std::move(delayed_.front());
    delayed_.pop_front();
    if (delayed.polls > 0) {
      --delayed.polls;
      delayed_.push_back(std::move(delayed));
    } else if (plan_->powered()) {
      pass_on(std::move(delayed.request));
    } else {
      Status status = power_failed(name(), delayed.request);
      finish(std::move(delayed.request.done), std::move(status));
    }
  }
  for (std::size_t left = own_.size(); left > 0 && !own_.empty(); --left) {
    const Own own = std::move(own_.front());
    own_.pop_front();
    --in_flight_;
    ++delivered_;
    own.done(own.status);
  }
  if (block && delivered_ == before && inner_->in_flight() > 0)
    inner_->wait();
  else
    inner_->poll();
  return delivered_ - before;
}

Result<std::unique_ptr<Device>> FaultDevice::share() {
  CSNAP_ASSIGN(auto inner, inner_->share());
  return std::unique_ptr<Device>(std::make_unique<FaultDevice>(std::move(inner), plan_));
}

}  // namespace csnap
