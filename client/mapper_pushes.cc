// SPDX-License-Identifier: Apache-2.0
// What the server says unasked: barriers, eviction, things to forget, where it will be.
#include <utility>

#include "client/mapper.h"
#include "client/wire.h"

namespace csnap {

void Mapper::on_push(const Frame& frame) {
  Status status;
  switch (frame.header.type) {
    case wire::MESSAGE_BARRIER_BEGIN: {
      wire::BarrierBegin begin;
      status = parse_body(frame, begin);
      if (!status.ok()) break;
      barriers_.insert(begin.barrier());
      return start_drain(true, false);
    }
    case wire::MESSAGE_BARRIER_END:
      return;
    case wire::MESSAGE_CACHE_DROP: {
      wire::CacheDrop drop;
      status = parse_body(frame, drop);
      if (!status.ok()) break;
      if (drop.unique() || drop.mappings()) start_drain(drop.unique(), drop.mappings());
      return;
    }
    case wire::MESSAGE_EVICT: {
      wire::Evict evict;
      status = parse_body(frame, evict);
      if (!status.ok()) break;
      return on_evict(evict);
    }
    case wire::MESSAGE_COPY: {
      wire::Copy copy;
      status = parse_body(frame, copy);
      if (!status.ok()) break;
      auto task = copy_from_wire(copy, *info_);
      if (task.ok()) return on_copy(std::move(task).value());
      status = task.status();
      break;
    }
    case wire::MESSAGE_HANDOVER: {
      wire::Handover handover;
      status = parse_body(frame, handover);
      if (!status.ok()) break;
      return host_.handover({handover.addresses().begin(), handover.addresses().end()},
                            handover.retry_after_ms());
    }
    default:  // a newer server's, and not required of us
      return;
  }
  host_.hang_up(status);
}

void Mapper::on_evict(const wire::Evict& evict) {
  evict_unanswered_ = true;
  volume_gone(Status(from_wire(evict.code()), evict.reason()));
  start_drain(true, true);
}

void Mapper::volume_gone(const Status& why) {
  if (!gone_.ok()) return;
  gone_ = why;
  host_.gone(why);
  fail_pending(why);
}

void Mapper::start_drain(bool unique, bool places) {
  forget_unique_ |= unique;
  forget_places_ |= places;
  if (std::exchange(drain_under_way_, true)) return;
  host_.drain();
}

void Mapper::drained() {
  drain_under_way_ = false;
  host_.forget(std::exchange(forget_unique_, false), std::exchange(forget_places_, false));
  if (!gone_.ok()) return finish_evict();
  host_.reopen();
  void_pending_ = false;
  if (state_ == State::voided) {
    lease_from_ms_ = std::max(lease_from_ms_, hello_sent_ms_);
    return go_on();
  }
  if (state_ == State::ready) send_barriers_done();
}

void Mapper::finish_evict() {
  if (!evict_unanswered_ || drain_under_way_ || !reads_.empty() || !writes_.empty()) return;
  if (state_ != State::ready || !copies_.empty()) return;
  evict_unanswered_ = false;
  send(wire::MESSAGE_EVICT_DONE, next_id_++, wire::EvictDone());
}

void Mapper::send_barriers_done() {
  for (const std::uint64_t barrier : std::exchange(barriers_, {})) {
    wire::BarrierDone done;
    done.set_barrier(barrier);
    send(wire::MESSAGE_BARRIER_DONE, next_id_++, done);
  }
}

}  // namespace csnap
