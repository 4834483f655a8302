// SPDX-License-Identifier: Apache-2.0
// Writes of snapshots, as client/snapshot_write.cc does them: places that are known to be
// rewritable are written in place; whole chunks get provisional places, the rest is copied first.
#include <algorithm>
#include <utility>

#include "store/crc.h"
#include "test/sim/client.h"
#include "test/sim/world.h"

namespace csnap::sim {
namespace {

void append(std::vector<ChunkRun>& runs, Chunk c) {
  if (!runs.empty() && runs.back().end() == c)
    ++runs.back().count;
  else
    runs.push_back({c, 1});
}

}  // namespace

void Client::step_snapshot_write(const ActionPtr& a) {
  release_chunks(a);
  if (!wait_until_allowed(a)) return;
  if (places_known(a)) return write_in_place(a);
  get_places(a);
}

bool Client::places_known(const ActionPtr& a) const {
  for (std::uint64_t i = 0; i < a->chunks.count; ++i) {
    if (a->done[i]) continue;
    const auto place = places_->find(a->chunks.start + i);
    if (!place || !place->rewritable) return false;
  }
  return true;
}

bool Client::covers_whole(const Action& a, Chunk c) const {
  return a.units.start <= c.value * per_chunk() && a.units.end() >= (c.value + 1) * per_chunk();
}

void Client::release_chunks(const ActionPtr& a) {
  if (!std::exchange(a->holds_chunks, false)) return;
  const auto held = std::find(held_chunks_.begin(), held_chunks_.end(), a->chunks);
  held_chunks_.erase(held);
  wake(chunk_waiters_);
}

void Client::get_places(const ActionPtr& a) {
  const bool free = std::none_of(held_chunks_.begin(), held_chunks_.end(),
                                 [&](const ChunkRun& other) { return other.overlaps(a->chunks); });
  if (!free) {
    chunk_waiters_.push_back([this, a] { step(a); });
    return;
  }
  held_chunks_.push_back(a->chunks);
  a->holds_chunks = true;
  std::vector<ChunkRun> whole, partial;
  auto kind = Mapper::WriteKind::overwrite;
  for (std::uint64_t i = 0; i < a->chunks.count; ++i) {
    const Chunk c = a->chunks.start + i;
    const auto place = places_->find(c);
    if (a->done[i] || (place && place->rewritable)) continue;
    append(covers_whole(*a, c) ? whole : partial, c);
    if (place) kind = Mapper::WriteKind::rewrite;
  }
  if (partial.empty()) return get_whole(a, std::move(whole), kind);
  const auto part = Mapper::WriteKind::partial;
  mapper_.snapshot_write(partial, part, [this, a, whole, kind](Result<WriteMapping> mapping) {
    if (!mapping.ok()) return think([this, a, s = mapping.status()] { finish(a, s); });
    if (mapping->handle != 0)
      return world_.fail("a provisional place was given for a part of a chunk");
    think([this, a, whole, kind] { get_whole(a, whole, kind); });
  });
}

void Client::get_whole(const ActionPtr& a, std::vector<ChunkRun> whole, Mapper::WriteKind kind) {
  if (a->ended) return;
  if (whole.empty()) return step(a);
  mapper_.snapshot_write(whole, kind, [this, a](Result<WriteMapping> mapping) {
    if (!mapping.ok()) return think([this, a, s = mapping.status()] { finish(a, s); });
    think([this, a, m = *mapping] { write_provisional(a, m); });
  });
}

void Client::write_provisional(const ActionPtr& a, const WriteMapping& mapping) {
  if (mapping.handle == 0) return step(a);
  if (a->ended || !lease_valid() || mapping.generation != standing_.write_generation) {
    mapper_.abandon_write(mapping.handle);
    return step(a);
  }
  std::vector<FinishedRun> runs;
  std::vector<std::pair<std::uint64_t, std::span<std::byte>>> writes;
  for (const WriteTarget& t : mapping.targets) {
    if (!t.provisional) continue;
    const auto data =
        a->data.span().subspan((t.chunks.start.value * per_chunk() - a->units.start) * kUnit,
                               t.chunks.count * chunk_size());
    FinishedRun run{t.chunks, t.store, {}};
    for (std::uint64_t i = 0; i < t.chunks.count; ++i)
      run.crcs.push_back(crc32c(data.subspan(i * chunk_size(), chunk_size())));
    runs.push_back(std::move(run));
    writes.emplace_back(t.store.value, data);
  }
  a->status = {};
  a->pending = writes.size();
  world_.model.submitted(a->model);
  for (const auto& [place, data] : writes) {
    const StoreRun target{StoreChunk(place), data.size() / chunk_size()};
    world_.check_client_store_write(*this, target);
    submit(false, IoKind::write, place * chunk_size(), data,
           [this, a, mapping, runs](const Status& status) {
             if (!status.ok() && a->status.ok()) a->status = status;
             if (--a->pending == 0) finish_provisional(a, mapping, runs);
           });
  }
}

void Client::finish_provisional(const ActionPtr& a, const WriteMapping& mapping,
                                std::vector<FinishedRun> runs) {
  if (!a->status.ok()) {
    mapper_.abandon_write(mapping.handle);
    return finish(a, a->status);
  }
  a->written = std::max<Micros>(1, world_.scheduler.now());
  mapper_.finish_write(mapping.handle, std::move(runs), [this, a, mapping](const Status& status) {
    think([this, a, mapping, status] {
      if (a->ended) return;
      if (status.code() == Code::stale) return gone_.ok() ? step(a) : finish(a, gone_);
      if (!status.ok()) return finish(a, status);
      for (const WriteTarget& t : mapping.targets) {
        if (!t.provisional) continue;
        for (std::uint64_t i = 0; i < t.chunks.count; ++i)
          a->done[t.chunks.start + i - a->chunks.start] = true;
      }
      step(a);
    });
  });
}

// What is not done yet, to places known to be rewritable.
void Client::write_in_place(const ActionPtr& a) {
  a->status = {};
  a->pending = 1;
  ++in_gate_;
  world_.model.submitted(a->model);
  const auto ended = [this, a](const Status& status) {
    if (!status.ok() && a->status.ok()) a->status = status;
    if (--a->pending > 0) return;
    leave_gate();
    finish(a, a->status);
  };
  for (std::uint64_t i = 0; i < a->chunks.count; ++i) {
    if (a->done[i]) continue;
    a->in_place = true;
    const Chunk c = a->chunks.start + i;
    const StoreChunk place = places_->find(c)->store;
    const std::uint64_t from = std::max(a->units.start, c.value * per_chunk());
    const std::uint64_t to = std::min(a->units.end(), (c.value + 1) * per_chunk());
    world_.check_client_store_write(*this, {place, 1});
    ++a->pending;
    submit(false, IoKind::write, place.value * chunk_size() + from % per_chunk() * kUnit,
           a->data.span().subspan((from - a->units.start) * kUnit, (to - from) * kUnit),
           [ended](const Status& status) { ended(status); });
  }
  ended({});
}

}  // namespace csnap::sim
