// SPDX-License-Identifier: Apache-2.0
#include "server/barrier.h"

#include <memory>
#include <utility>

#include "server/engine_impl.h"

namespace csnap {

void Barrier::create(const std::string& name, std::optional<Uuid> receiver,
                     Engine::SnapshotDone done) {
  Status status = check_snapshot_name(name);
  if (status.ok() && engine_.state->snapshots().find_live(name))
    return engine_.committer->refuse(
        Status(Code::exists, "a snapshot named '" + name + "' is there already"),
        [done = std::move(done)](const Status& answer) { done(answer); });
  const std::size_t there = engine_.state->snapshots().all().size() + creations_.size();
  if (status.ok() && there >= kMaxSnapshots)
    status = Status(Code::no_space,
                    "there are 64 snapshots already, counting those whose deletion is under way; "
                    "delete one, or wait until its space is free");
  if (status.ok() && !engine_.committer->failure().ok()) status = engine_.committer->failure();
  if (!status.ok()) return done(std::move(status));
  creations_.push_back({name, receiver, std::move(done)});
  if (!active()) start();
}

void Barrier::start() {
  phase_ = Phase::draining;
  ++id_;
  owing_.clear();
  told_.clear();
  for (const auto& [key, client] : engine_.clients)
    if (client.volume == kOrigin) owing_.insert(key);
  told_ = owing_;
  for (const ClientKey key : told_) engine_.events.barrier_begin(key, id_);
  reconsider();
}

void Barrier::done(ClientKey client, std::uint64_t barrier) {
  if (barrier != id_) return;
  owing_.erase(client);
  reconsider();
}

void Barrier::client_back(ClientKey client) {
  if (phase_ != Phase::draining) return;
  owing_.insert(client);
  told_.insert(client);
  engine_.events.barrier_begin(client, id_);
}

void Barrier::client_gone(ClientKey client) {
  owing_.erase(client);
  told_.erase(client);
  reconsider();
}

void Barrier::reconsider() {
  if (phase_ != Phase::draining || !owing_.empty()) return;
  for (const auto& [id, volume] : engine_.absent)
    if (volume == kOrigin) return;
  // From an end of a turn, so that a create() has returned before its answer comes.
  engine_.later([this] {
    if (phase_ == Phase::draining && owing_.empty()) commit();
  });
}

Status Barrier::build(const Creation& creation, SnapshotId& id, std::vector<Record>& records) {
  const auto& snapshots = engine_.state->snapshots();
  Replication replication = engine_.state->replication();
  const auto bit = std::as_const(snapshots).free_bit();
  if (!bit) return Status(Code::no_space, "there are 64 snapshots already");
  if (engine_.state->snapshots().find_live(creation.name))
    return Status(Code::exists, "a snapshot named '" + creation.name + "' is there already");
  const auto received = std::exchange(replication.receiving, std::nullopt);
  if (creation.receiver && !engine_.receives(*creation.receiver))
    return Engine::Impl::not_receiving(*creation.receiver);
  if (creation.receiver &&
      (!received || received->name != creation.name || received->path.empty() || received->undone))
    return Status(Code::stale, "no receive of '" + creation.name + "' is under way here");
  if (!creation.receiver && received && !received->undone)
    return Status(Code::busy, "the origin lies between two snapshots, for the receive of '" +
                                  received->name + "' is not finished");
  id = engine_.state->superblock().next_snapshot;
  const std::uint64_t high = engine_.random();
  records.push_back(SnapshotCreated{id, Uuid::from_random(high, engine_.random()), creation.name,
                                    engine_.wall_ns, static_cast<std::uint8_t>(*bit)});
  engine_.written &= ~mask_of_bit(*bit);
  ++engine_.generation;
  if (!creation.receiver) return {};
  records.push_back(SnapshotReceived{id, {received->identity, received->path}});
  records.push_back(ReplicationChanged{std::move(replication)});
  return {};
}

// The point in time: nobody writes the origin now.
void Barrier::commit() {
  phase_ = Phase::committing;
  auto creations = std::exchange(creations_, {});
  committing_ = creations.size();
  if (creations.empty()) return finish();
  for (auto& creation : creations) {
    auto shared = std::make_shared<Creation>(std::move(creation));
    auto id = std::make_shared<SnapshotId>();
    engine_.committer->add(
        {[this, shared, id](std::vector<Record>& records) { return build(*shared, *id, records); },
         [this, shared, id](const Status& status) { committed(*shared, *id, status); }, true});
  }
}

void Barrier::committed(const Creation& creation, SnapshotId id, const Status& status) {
  const Snapshot* snapshot = status.ok() ? engine_.state->snapshots().find_live(id) : nullptr;
  if (snapshot)
    creation.done(*snapshot);
  else
    creation.done(status.ok() ? Status(Code::stale, "the snapshot was deleted at once") : status);
  if (--committing_ == 0) finish();
}

void Barrier::finish() {
  phase_ = Phase::none;
  for (const ClientKey key : told_) engine_.events.barrier_end(key, id_);
  engine_.later(std::exchange(waiters_, {}));
  if (!creations_.empty() && !engine_.stopping) start();
}

void Barrier::stop(const Status& why) {
  for (auto& creation : std::exchange(creations_, {})) creation.done(why);
}

}  // namespace csnap
