// SPDX-License-Identifier: Apache-2.0
// Operations: what all have in common, writes of the origin, reads, flushes. client_write.cc has
// the writes of snapshots.
#include <algorithm>
#include <cstring>
#include <utility>

#include "store/crc.h"
#include "test/sim/client.h"
#include "test/sim/world.h"

namespace csnap::sim {

void Client::start(Op op, UnitRun units) {
  auto a = std::make_shared<Action>();
  a->op = op;
  a->units = units;
  const std::uint64_t first = units.start / per_chunk();
  const std::uint64_t last = units.count == 0 ? first : (units.end() - 1) / per_chunk();
  a->chunks = {Chunk(first), last - first + 1};
  const bool write =
      op == Op::origin_write || op == Op::snapshot_write || op == Op::snapshot_overwrite;
  if (write) {
    a->model = world_.model.begin_write(volume_, units);
    a->data = AlignedBuffer(units.count * kUnit);
    for (std::uint64_t i = 0; i < units.count; ++i)
      Model::fill(a->data.span().subspan(i * kUnit, kUnit), Model::tag(a->model, units.start + i));
    a->done.assign(a->chunks.count, false);
  } else if (op != Op::flush) {
    a->data = AlignedBuffer(a->chunks.count * chunk_size());
  }
  actions_.push_back(a);
  world_.coverage.begin(op);
  run([this, a] { step(a); });
}

void Client::step(const ActionPtr& a) {
  if (a->ended) return;
  switch (a->op) {
    case Op::origin_write:
      return step_origin_write(a);
    case Op::origin_read:
      return step_origin_read(a);
    case Op::snapshot_read:
      return step_read(a, false);
    case Op::snapshot_write:
    case Op::snapshot_overwrite:
      return step_snapshot_write(a);
    default:
      return step_flush(a);
  }
}

// VolumeState::wait_lease() and Gate::enter(). false: it goes on later, or has ended.
bool Client::wait_until_allowed(const ActionPtr& a) {
  if (!gone_.ok()) {
    finish(a, gone_);
    return false;
  }
  if (!lease_valid()) {
    lease_waiters_.push_back([this, a] { step(a); });
    return false;
  }
  if (gate_closed_) {
    gate_waiters_.push_back([this, a] { step(a); });
    return false;
  }
  return true;
}

// -- the origin ----------------------------------------------------------------------------------

void Client::step_origin_write(const ActionPtr& a) {
  if (!wait_until_allowed(a)) return;
  if (!unique_->all(a->chunks)) {
    std::vector<ChunkRun> missing;
    unique_->append_missing(a->chunks, missing);
    return mapper_.unique(std::move(missing), [this, a](const Status& status) {
      think([this, a, status] { status.ok() ? step(a) : finish(a, status); });
    });
  }
  world_.check_origin_write(*this, a->chunks);
  ++in_gate_;
  world_.model.submitted(a->model);
  submit(true, IoKind::write, a->units.start * kUnit, a->data.span(), [this, a](Status status) {
    leave_gate();
    finish(a, status);
  });
}

void Client::step_origin_read(const ActionPtr& a) {
  if (a->model != 0) world_.model.drop_read(a->model);
  a->model = world_.model.begin_read(volume_, a->units);
  submit(true, IoKind::read, a->units.start * kUnit, a->data.span().first(a->units.count * kUnit),
         [this, a](Status status) { finish(a, status); });
}

void Client::step_flush(const ActionPtr& a) {
  submit(is_origin(), IoKind::flush, 0, {}, [this, a](Status status) { finish(a, status); });
}

// -- reads of snapshots --------------------------------------------------------------------------

bool Client::remembered(ChunkRun run, std::vector<ReadSource>& sources) const {
  for (Chunk c = run.start; c < run.end(); ++c) {
    const auto place = places_->find(c);
    if (!place) return false;
    sources.push_back({{c, 1}, false, place->store, true, place->rewritable, {place->crc}});
  }
  return true;
}

// ask: what is remembered did not help.
void Client::step_read(const ActionPtr& a, bool ask) {
  if (!wait_until_allowed(a)) return;
  if (a->model != 0) world_.model.drop_read(a->model);
  a->model = world_.model.begin_read(volume_, a->units);
  a->sources.clear();
  if (!ask && remembered(a->chunks, a->sources)) {
    a->generation = standing_.read_generation;
    a->handle = 0;
    ++in_gate_;
    return read_sources(a, true);
  }
  a->sources.clear();
  mapper_.snapshot_read({a->chunks}, [this, a](Result<ReadMapping> mapping) {
    if (!mapping.ok()) return think([this, a, s = mapping.status()] { finish(a, s); });
    a->generation = mapping->generation;
    a->handle = mapping->handle;
    a->sources = std::move(mapping->sources);
    a->reads_grant = true;
    think([this, a] { read_sources(a, false); });
  });
}

void Client::read_sources(const ActionPtr& a, bool in_gate) {
  if (a->ended) return;
  a->reads_grant = true;
  a->status = {};
  a->pending = a->sources.size();
  for (const ReadSource& s : a->sources) {
    const std::uint64_t place = s.on_origin ? s.chunks.start.value : s.store.value;
    const auto into = a->data.span().subspan((s.chunks.start - a->chunks.start) * chunk_size(),
                                             s.chunks.count * chunk_size());
    submit(s.on_origin, IoKind::read, place * chunk_size(), into,
           [this, a, in_gate](const Status& status) {
             if (!status.ok() && a->status.ok()) a->status = status;
             if (--a->pending == 0) read_done(a, in_gate);
           });
  }
}

bool Client::find_mismatch(const ActionPtr& a, Chunk& chunk, StoreChunk& store,
                           std::uint32_t& crc) const {
  for (const ReadSource& s : a->sources) {
    if (s.on_origin || s.crcs.empty()) continue;
    for (std::uint64_t i = 0; i < s.chunks.count; ++i) {
      const Chunk c = s.chunks.start + i;
      const auto data = a->data.span().subspan((c - a->chunks.start) * chunk_size(), chunk_size());
      if (s.crcs[i] == 0 || stored_checksum(crc32c(data)) == s.crcs[i]) continue;
      chunk = c;
      store = s.store + i;
      crc = s.crcs[i];
      return true;
    }
  }
  return false;
}

void Client::read_done(const ActionPtr& a, bool in_gate) {
  const bool deliver = may_deliver(a->generation);
  a->reads_grant = false;
  if (in_gate)
    leave_gate();
  else
    mapper_.finish_read(a->handle);
  if (!a->status.ok()) return finish(a, a->status);
  if (!deliver) return step_read(a, in_gate);
  Chunk chunk;
  StoreChunk store;
  std::uint32_t crc = 0;
  if (find_mismatch(a, chunk, store, crc)) {
    // Rewritten since we were told, or damaged: who asks again and is told the same knows.
    if (!in_gate && a->mismatch == chunk && a->mismatch_crc == crc && a->mismatch_store == store)
      return finish(a, Status(Code::corrupt, "chunk " + std::to_string(chunk.value) +
                                                 " does not have its checksum"));
    if (!in_gate) {
      a->mismatch = chunk;
      a->mismatch_crc = crc;
      a->mismatch_store = store;
    }
    return step_read(a, in_gate);
  }
  finish(a, {});
}

}  // namespace csnap::sim
