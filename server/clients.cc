// SPDX-License-Identifier: Apache-2.0
// Sessions: opening, coming back after a restart, ending.
#include <algorithm>
#include <utility>

#include "server/engine_impl.h"
#include "server/op.h"

namespace csnap {

ClientState* Engine::Impl::client(ClientKey key) {
  const auto it = clients.find(key);
  return it == clients.end() ? nullptr : &it->second;
}

const Snapshot* Engine::Impl::live_volume(const ClientState& c) const {
  return state->snapshots().find_live(c.volume);
}

void Engine::Impl::add_op(ClientState& c, const std::shared_ptr<Op>& op) {
  c.ops.insert(op);
}

void Engine::Impl::remove_op(const std::shared_ptr<Op>& op, ClientKey key) {
  if (ClientState* c = client(key)) c->ops.erase(op);
}

void Engine::Impl::open_client(const Uuid& id, SnapshotId volume, Access access, Opened done) {
  if (const auto known = clients_by_id.find(id); known != clients_by_id.end()) {
    const ClientState& c = clients.at(known->second);
    if (c.volume != volume)
      return done(Status(Code::invalid, "the session is open on another volume"));
    return done(c.key);
  }
  ClientState fresh;
  fresh.key = next_client++;
  fresh.id = id;
  fresh.volume = volume;
  fresh.access = access;
  const bool back = absent.contains(id);
  if (const Status admitted = admit(volume, access, back); !admitted.ok())
    return committer->refuse(admitted, [done = std::move(done)](const Status& s) { done(s); });
  if (back) {
    const Status status = take_back(std::move(fresh), done);
    return status.ok() ? void() : done(status);
  }
  if (volume != kOrigin && !state->snapshots().find_live(volume))
    return done(state->snapshots().find(volume) || volume < state->superblock().next_snapshot
                    ? volume_deleted()
                    : Status(Code::not_found, "there is no such snapshot"));
  // A second request for a session that is being opened waits for the first.
  Opening& entry = opening[id];
  entry.waiting.push_back(std::move(done));
  if (entry.waiting.size() > 1) return;
  entry.volume = volume;
  entry.access = access;
  ++changes;
  auto build = [this, id, volume, access](std::vector<Record>& records) -> Status {
    // Somebody else may have been let in meanwhile. From here on nobody is whom this one keeps out.
    CSNAP_TRY(admit(volume, access, false));
    opening.at(id).admitted = true;
    records.push_back(ClientOpened{id, volume});
    const Replication& replication = state->replication();
    // What was brought back to a snapshot will not be as that any more.
    if (volume == kOrigin && access == Access::write && replication.receiving)
      records.push_back(ReplicationChanged{{replication.role, std::nullopt, replication.replicas}});
    return {};
  };
  auto opened = [this, fresh](const Status& status) {
    --changes;
    const auto told = std::move(opening.extract(fresh.id).mapped().waiting);
    if (status.ok()) {
      clients_by_id[fresh.id] = fresh.key;
      clients.emplace(fresh.key, fresh);
    }
    for (const auto& each : told)
      each(status.ok() ? Result<ClientKey>(fresh.key) : Result<ClientKey>(status));
  };
  committer->add({std::move(build), std::move(opened)});
}

// A session of before the restart comes back also to a snapshot that was deleted meanwhile: it has
// to say that it is done with it.
Status Engine::Impl::take_back(ClientState fresh, const Opened& done) {
  const auto back = absent.find(fresh.id);
  if (back->second != fresh.volume)
    return Status(Code::invalid, "the session was open on another volume");
  fresh.settled = false;
  const ClientEntry* entry = state->clients().find(fresh.id);
  for (std::size_t i = 0; entry && i < kMaxPools; ++i)
    fresh.pools[i] = {entry->pools[i], entry->pools[i].count, 0, true};
  absent.erase(back);
  const ClientKey key = fresh.key;
  const SnapshotId volume = fresh.volume;
  clients_by_id[fresh.id] = key;
  clients.emplace(key, std::move(fresh));
  recount_unsettled();
  done(key);
  if (volume == kOrigin) barrier->client_back(key);
  return {};
}

Status Engine::Impl::volume_deleted() {
  return Status(Code::stale, "the snapshot was deleted; what was in it is gone for good");
}

void Engine::Impl::close_client(ClientKey key) {
  ClientState* c = client(key);
  if (!c) return;
  for (const auto& op : std::exchange(c->ops, {}))
    op->abandon(Status(Code::cancelled, "the session is over"), false);
  later(locks.unlock_client(key));
  for (const auto& [read, ticket] : std::exchange(c->reads, {})) quarantine.end_read(ticket);
  client_copies->forget(*c);
  later(std::exchange(c->pool_waiters, {}));
  const Uuid id = c->id;
  clients_by_id.erase(id);
  clients.erase(key);
  barrier->client_gone(key);
  forget_entry(id);
  settled_changed();
}

void Engine::Impl::forget_entry(const Uuid& id) {
  ++changes;
  commit(ClientClosed{id}, [this](const Status&) { --changes; });
}

void Engine::Impl::forget_client(const Uuid& id) {
  if (absent.erase(id) == 0) return;
  forget_entry(id);
  settled_changed();
}

void Engine::Impl::settle(ClientState& c) {
  if (c.settled) return;
  c.settled = true;
  // The client has no provisional write from before any more: its old pools go back.
  for (std::size_t i = 0; i < c.pools.size(); ++i) {
    if (c.pools[i].run.count == 0) continue;
    c.pools[i] = {};
    ++changes;
    commit(ClientPool{c.id, static_cast<std::uint8_t>(i), {}},
           [this](const Status&) { --changes; });
  }
  settled_changed();
}

void Engine::Impl::settled_changed() {
  recount_unsettled();
  barrier->reconsider();
  if (!readers_unsettled) later(std::exchange(settle_waiters, {}));
}

void Engine::Impl::recount_unsettled() {
  readers_unsettled = std::any_of(absent.begin(), absent.end(),
                                  [](const auto& a) { return a.second != kOrigin; }) ||
                      std::any_of(clients.begin(), clients.end(), [](const auto& c) {
                        return !c.second.settled && c.second.volume != kOrigin;
                      });
}

bool Engine::Impl::unsettled_on(SnapshotId volume) const {
  return std::any_of(absent.begin(), absent.end(),
                     [&](const auto& a) { return a.second == volume; });
}

bool Engine::Impl::open_on(SnapshotId volume) const {
  return std::any_of(clients.begin(), clients.end(),
                     [&](const auto& c) { return c.second.volume == volume && !c.second.evicted; });
}

void Engine::Impl::finish_read(ClientState& c, ReadId id) {
  const auto it = c.reads.find(id);
  if (it == c.reads.end()) return;
  quarantine.end_read(it->second);
  c.reads.erase(it);
  later(locks.unlock({c.key, id}));
}

}  // namespace csnap
