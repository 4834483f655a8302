// SPDX-License-Identifier: Apache-2.0
// Copies that the server asks for, as client/copy_runner.cc makes them.
#include <algorithm>
#include <utility>

#include "store/crc.h"
#include "test/sim/client.h"
#include "test/sim/world.h"

namespace csnap::sim {

void Client::copy(const CopyTask& task) {
  auto c = std::make_shared<Copying>();
  c->task = task;
  c->data = AlignedBuffer(task.to.count * chunk_size());
  copies_.push_back(c);
  world_.coverage.begin(Op::client_copy);
  think([this, c] { read_copy(c); });
}

Status Client::may_copy(const CopyTask& task) const {
  if (lease_valid() && task.generation == standing_.write_generation) return {};
  return Status(Code::stale, "the lease is over");
}

void Client::read_copy(const CopyingPtr& c) {
  const CopyTask& task = c->task;
  if (const Status may = may_copy(task); !may.ok()) return end_copy(c, may);
  // Origins of histories end with a whole chunk.
  submit(task.from_origin, IoKind::read, task.from * chunk_size(), c->data.span(),
         [this, c](const Status& status) {
           if (!status.ok()) return end_copy(c, status);
           for (std::uint64_t i = 0; i < c->task.to.count; ++i) {
             const auto& known = c->task.crcs;
             c->crcs.push_back(
                 stored_checksum(crc32c(c->data.span().subspan(i * chunk_size(), chunk_size()))));
             if (!known.empty() && known[i] != 0 && known[i] != c->crcs.back())
               return end_copy(c, Status(Code::corrupt, "the source of a copy"));
           }
           think([this, c] { write_copy(c); });
         });
}

void Client::write_copy(const CopyingPtr& c) {
  const CopyTask& task = c->task;
  if (const Status may = may_copy(task); !may.ok()) return end_copy(c, may);
  world_.check_client_store_write(*this, task.to);
  submit(false, IoKind::write, task.to.start.value * chunk_size(), c->data.span(),
         [this, c](const Status& status) { end_copy(c, status); });
}

void Client::end_copy(const CopyingPtr& c, const Status& status) {
  std::erase(copies_, c);
  world_.coverage.end(Op::client_copy);
  reported_.emplace();
  reported_->set_copy_id(c->task.id);
  reported_->mutable_crcs()->Add(c->crcs.begin(), c->crcs.end());
  if (status.ok())
    mapper_.copied(c->task.id, c->crcs);
  else
    mapper_.copied(c->task.id, status);
  if (leaving_) leave();
}

// A report told twice, on this connection or a later one, to this server or a later one: it is
// nothing to anybody.
void Client::report_again(OutputBuffer& output) {
  if (!reported_ || !mapper_.ready() || world_.random.below(8) != 0) return;
  constexpr std::uint64_t kNoRequest = std::uint64_t{1} << 40;  // the mapper does not get there
  append_frame(output, wire::MESSAGE_COPY_DONE, 0, kNoRequest, *reported_);
}

}  // namespace csnap::sim
