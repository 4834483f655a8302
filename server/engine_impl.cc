// SPDX-License-Identifier: Apache-2.0
// How the engine's parts take turns, and how it stops.
#include "server/engine_impl.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "server/op.h"

namespace csnap {
namespace {

constexpr std::size_t kReleasedPerTurn = 512;  // runs; about a millisecond

}  // namespace

Engine::Impl::Impl(EngineDevices the_devices, EngineOptions the_options, EngineEvents& the_events)
    : devices(std::move(the_devices)),
      options(std::move(the_options)),
      events(the_events),
      random_state(options.random_seed) {}

Engine::Impl::~Impl() {
  // Buffers of the I/O in flight are ours: it has to end first.
  for (Device* device : all_devices())
    while (device->in_flight() > 0) device->wait();
}

void Engine::Impl::start(std::unique_ptr<StoreState> the_state,
                         std::unique_ptr<Journal> the_journal, std::vector<StoreRun> freed) {
  state = std::move(the_state);
  journal = std::move(the_journal);
  std::vector<Device*> flush_also;
  if (devices.metadata) flush_also.push_back(devices.store.get());
  committer = std::make_unique<Committer>(
      *state, metadata_device(), *journal, std::move(flush_also),
      [this](std::vector<StoreRun> runs) { keep_freed(std::move(runs)); }, options.clock_us);
  copier = std::make_unique<Copier>(*state, *devices.origin, *devices.store, options.copy_bytes);
  client_copies = std::make_unique<ClientCopies>(*this);
  barrier = std::make_unique<Barrier>(*this);
  deleter = std::make_unique<Deleter>(*this);
  for (const auto& entry : state->clients().all()) absent[entry.id] = entry.volume;
  for (const Snapshot& snapshot : std::as_const(*state).snapshots().all())
    if (snapshot.written) written |= mask_of_bit(snapshot.bit);
  recount_unsettled();
  first_read = next_read = (state->superblock().epoch.value << 32) + 1;
  if (!freed.empty()) keep_freed(std::move(freed));
}

std::vector<Device*> Engine::Impl::all_devices() {
  std::vector<Device*> all;
  for (Device* device : {devices.origin.get(), devices.store.get(), devices.metadata.get()})
    if (device) all.push_back(device);
  return all;
}

// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
std::uint64_t Engine::Impl::random() {
  random_state += 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = random_state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

std::size_t Engine::Impl::poll() {
  std::size_t delivered = 0;
  for (Device* device : all_devices()) delivered += device->poll();
  end_turn();
  return delivered;
}

void Engine::Impl::run_ready() {
  if (running_ready) return;
  running_ready = true;
  while (!ready.empty()) {
    const auto what = std::move(ready.front());
    ready.pop_front();
    what();
  }
  running_ready = false;
}

void Engine::Impl::end_turn() {
  run_ready();
  release_freed();
  deleter->step();
  client_copies->start();
  copier->start(changes);
  committer->pump();
  run_ready();
  state->cache().trim();
  if (!committer->failure().ok() && !told_failure) {
    told_failure = true;
    log(EngineEvents::Level::error,
        "nothing new is granted any more: " + committer->failure().to_string() +
            "; when the disk is well again, start the server anew");
  }
  for (Device* device : all_devices()) device->kick();
}

void Engine::Impl::keep_freed(std::vector<StoreRun> runs) {
  const Checkpointer& checkpointer = committer->checkpointer();
  // One that is under way may have begun before.
  quarantine.add(std::move(runs), checkpointer.completed() + (checkpointer.active() ? 2 : 1));
}

bool Engine::Impl::checkpoint_frees() const {
  return committer->failure().ok() &&
         quarantine.waits_for_more_than(committer->checkpointer().completed());
}

bool Engine::Impl::has_released() const {
  // A session from before the restart may be reading what it was told of then.
  return !readers_unsettled && quarantine.has(committer->checkpointer().completed());
}

void Engine::Impl::release_freed() {
  // A checkpoint may let go of so much that everybody would have to wait for it.
  const bool all = !options.clock_us || !space_waiters.empty() || stopping;
  if (!checkpoint_frees())
    later(std::exchange(space_waiters, {}));
  else if (!space_waiters.empty() || holds_too_much() || (deleter->idle() && committer->idle()))
    committer->request_checkpoint();
  unhold_freed(all ? std::numeric_limits<std::size_t>::max() : kReleasedPerTurn);
}

void Engine::Impl::unhold_freed(std::size_t limit) {
  if (!has_released()) return;
  for (const StoreRun run : quarantine.take(committer->checkpointer().completed(), limit)) {
    state->data().unhold(run);
    told_full = false;
  }
}

bool Engine::Impl::quiet() const {
  if (!ready.empty() || changes > 0 || !copier->idle() || !admin_ops.empty()) return false;
  if (barrier->active() || checkpoint_frees()) return false;
  for (const auto& [key, c] : clients)
    if (!c.ops.empty()) return false;
  return committer->idle() || !committer->failure().ok();
}

Status Engine::Impl::close() {
  stopping = true;
  committer->gather_no_more();
  const Status why(Code::unavailable, "the server is stopping");
  barrier->stop(why);
  for (auto& [key, c] : clients)
    for (const auto& op : std::exchange(c.ops, {})) op->abandon(why, true);
  for (const auto& op : std::exchange(admin_ops, {})) op->abandon(why, true);
  client_copies->stop();
  const auto settle = [&] {
    for (;;) {
      end_turn();
      const auto all = all_devices();
      const auto flying =
          std::find_if(all.begin(), all.end(), [](const Device* d) { return d->in_flight() > 0; });
      if (flying == all.end()) {
        if (ready.empty()) return;
        continue;
      }
      (*flying)->wait();
    }
  };
  settle();
  if (!committer->failure().ok()) return committer->failure();
  committer->request_checkpoint();
  settle();
  if (!committer->failure().ok()) return committer->failure();
  return committer->checkpointer().write_clean();
}

}  // namespace csnap
