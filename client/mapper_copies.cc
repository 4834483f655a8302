// SPDX-License-Identifier: Apache-2.0
// Copies that the server would have us make.
#include "client/mapper.h"
#include "client/wire.h"

namespace csnap {

void Mapper::offer_copies(bool able) {
  makes_copies_ = able;
  send_offer();
}

// Once a connection. What has ended since the one before is told by not being in the list.
void Mapper::send_offer() {
  if (!makes_copies_ || copies_offered_ || state_ != State::ready || !info_->copies) return;
  copies_offered_ = true;
  wire::OfferCopies offer;
  for (const std::uint64_t id : copies_) offer.add_under_way(id);
  send(wire::MESSAGE_OFFER_COPIES, next_id_++, offer);
}

void Mapper::on_copy(CopyTask task) {
  // After Goodbye and EvictDone the places are somebody else's.
  if (!makes_copies_ || state_ != State::ready || !gone_.ok() || goodbye_done_)
    return send_copy_done(task.id, Status(Code::unavailable, "this client makes no copies now"));
  task.generation = standing_.write_generation;
  copies_.insert(task.id);
  host_.copy(task);
}

void Mapper::copied(std::uint64_t id, const Result<std::vector<std::uint32_t>>& crcs) {
  if (copies_.erase(id) == 0) return;
  if (state_ == State::ready) send_copy_done(id, crcs);
  continue_restart();
  finish_evict();
  const bool greeted = state_ != State::disconnected && state_ != State::greeting;
  if (goodbye_done_ && goodbye_id_ == 0 && greeted) send_goodbye();
}

void Mapper::send_copy_done(std::uint64_t id, const Result<std::vector<std::uint32_t>>& crcs) {
  wire::CopyDone done;
  done.set_copy_id(id);
  if (crcs.ok())
    done.mutable_crcs()->Add(crcs->begin(), crcs->end());
  else
    done.set_error(crcs.status().to_string());
  send(wire::MESSAGE_COPY_DONE, next_id_++, done);
}

}  // namespace csnap
