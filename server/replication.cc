// SPDX-License-Identifier: Apache-2.0
// What streams need of the engine: who may write while one is received, which state of a snapshot a
// stream speaks of, and where a receive stands.
#include <algorithm>
#include <utility>

#include "server/engine_impl.h"
#include "store/replication_codec.h"

namespace csnap {

bool Engine::Impl::accessed(SnapshotId volume, Access access) const {
  return std::any_of(clients.begin(), clients.end(), [&](const auto& c) {
    return c.second.volume == volume && c.second.access == access && !c.second.evicted;
  });
}

Status Engine::Impl::admit(SnapshotId volume, Access access, bool resumed) const {
  if (access == Access::read) return {};
  if (volume != kOrigin)
    return access == Access::write ? Status()
                                   : Status(Code::invalid, "streams are received by the origin");
  const Replication& replication = state->replication();
  if (accessed(kOrigin, Access::receive))
    return Status(Code::busy, "a stream is being received into the origin");
  if (access == Access::write) {
    if (replication.role == ReplicationRole::replica)
      return Status(Code::denied,
                    "the origin is a replica of another server's and can only be read here; "
                    "csnap-admin promote makes it a volume of its own");
    // Who was open for writing before the restart has made it be forgotten: this session was not.
    if (replication.receiving && resumed)
      return Status(Code::denied,
                    "the session was not open for writing before the server's restart; open the "
                    "origin anew");
    if (replication.receiving && !replication.receiving->undone)
      return Status(Code::denied, "the origin lies between two snapshots, for the receive of '" +
                                      replication.receiving->name +
                                      "' was not finished; go on with it, or give it up with "
                                      "csnap-admin receive --abort");
    return {};
  }
  if (replication.role == ReplicationRole::primary)
    return Status(Code::denied,
                  "the origin is a primary, which nothing is received into; csnap-admin demote "
                  "makes it a replica");
  if (accessed(kOrigin, Access::write))
    return Status(Code::busy,
                  "the origin is open for writing; who receives must be the only one who writes");
  if (!resumed && unsettled_on(kOrigin))
    return Status(Code::busy,
                  "clients of before the server's restart may still be writing to the origin; this "
                  "is over when they come back or their leases end");
  return {};
}

void Engine::Impl::mark_written(SnapshotId id, std::function<void(Status)> done) {
  ++changes;
  committer->add({[this, id](std::vector<Record>& records) -> Status {
                    if (!state->snapshots().find_live(id)) return volume_deleted();
                    records.push_back(SnapshotWritten{id});
                    return {};
                  },
                  [this, id, done = std::move(done)](const Status& status) {
                    --changes;
                    const Snapshot* snapshot = state->snapshots().find_live(id);
                    if (status.ok() && snapshot && snapshot->written)
                      written |= mask_of_bit(snapshot->bit);
                    done(status);
                  }});
}

void Engine::Impl::flush_volumes(std::function<void(Status)> done) {
  struct Flushes {
    std::size_t left = 2;
    Status first;
    std::function<void(Status)> done;
  };
  auto flushes = std::make_shared<Flushes>();
  flushes->done = std::move(done);
  for (Device* device : {devices.origin.get(), devices.store.get()})
    device->submit({.kind = IoKind::flush, .offset = 0, .data = {}, .done = [flushes](Status s) {
                      if (flushes->first.ok()) flushes->first = std::move(s);
                      if (--flushes->left == 0) flushes->done(flushes->first);
                    }});
}

void Engine::seal_snapshot(const std::string& name, SnapshotDone done) {
  Impl& e = *impl_;
  if (e.stopping) return done(Status(Code::unavailable, "the server is stopping"));
  const Result<Snapshot> found = find_snapshot(name);
  if (!found.ok()) return e.committer->refuse(found.status(), std::move(done));
  const SnapshotId id = found->id;
  ++e.changes;
  auto answer = [&e, id, done = std::move(done)](const Status& status) {
    --e.changes;
    const Snapshot* snapshot = status.ok() ? e.state->snapshots().find_live(id) : nullptr;
    if (snapshot)
      done(*snapshot);
    else
      done(status.ok() ? Impl::volume_deleted() : status);
  };
  // Its content must be durable before anybody is told what it is known as: what clients wrote to
  // the origin before it was created, or in place to it, may still be in a cache of the disks.
  auto told = [&e, id, answer = std::move(answer)](const Status& status) {
    const Snapshot* snapshot = status.ok() ? e.state->snapshots().find_live(id) : nullptr;
    if (!snapshot) return answer(status);
    // Once is enough: while it is not written to, a transid is of one content only, and what a copy
    // moves of that to the store is durable before the origin may be overwritten.
    std::uint64_t& flushed = e.flushed_transids[snapshot->bit];
    const std::uint64_t transid = snapshot->transid;
    if (!snapshot->written && flushed == transid) return answer({});
    e.flush_volumes([&flushed, transid, written = snapshot->written, answer](const Status& s) {
      if (s.ok() && !written) flushed = transid;
      answer(s);
    });
  };
  // What it is known as must be durable, too.
  if (!found->written) return e.committer->when_durable(std::move(told));
  e.committer->add({[&e, id](std::vector<Record>& records) -> Status {
                      const Snapshot* snapshot = e.state->snapshots().find_live(id);
                      if (!snapshot) return Impl::volume_deleted();
                      if (e.accessed(id, Access::write) || e.unsettled_on(id))
                        return Status(Code::busy, "snapshot '" + snapshot->name +
                                                      "' was written to and is open for writing; "
                                                      "close it first");
                      const std::uint64_t next = e.state->superblock().next_snapshot.value;
                      records.push_back(SnapshotSealed{id, next});
                      e.written &= ~mask_of_bit(snapshot->bit);
                      return {};
                    },
                    std::move(told)});
}

void Engine::Impl::change_replication(std::function<Status(Replication&)> change, Done done) {
  if (stopping) return done(Status(Code::unavailable, "the server is stopping"));
  ++changes;
  committer->add({[this, change = std::move(change)](std::vector<Record>& records) -> Status {
                    Replication next = state->replication();
                    CSNAP_TRY(change(next));
                    CSNAP_TRY(check_replication(next));
                    records.push_back(ReplicationChanged{std::move(next)});
                    return {};
                  },
                  [this, done = std::move(done)](const Status& status) {
                    --changes;
                    done(status);
                  }});
}

void Engine::set_role(ReplicationRole role, Done done) {
  impl_->change_replication(
      [&e = *impl_, role](Replication& next) -> Status {
        // What is copied from elsewhere has other replicas, which come to be known anew.
        if (role == ReplicationRole::replica && next.role != role) next.replicas.clear();
        next.role = role;
        if (role == ReplicationRole::replica &&
            (e.accessed(kOrigin, Access::write) || e.unsettled_on(kOrigin)))
          return Status(Code::busy,
                        "the origin is open for writing, or was before the server's restart; close "
                        "it everywhere first");
        if (role != ReplicationRole::primary) return {};
        if (e.accessed(kOrigin, Access::receive))
          return Status(Code::busy, "a stream is being received into the origin");
        if (next.receiving && !next.receiving->undone)
          return Status(Code::invalid,
                        "the origin lies between two snapshots, for a receive was not finished");
        return {};
      },
      std::move(done));
}

void Engine::set_receiving(std::optional<UnfinishedReceive> receiving, Done done) {
  impl_->change_replication(
      [&e = *impl_, receiving = std::move(receiving)](Replication& next) -> Status {
        if (!e.accessed(kOrigin, Access::receive))
          return Status(Code::stale, "no session is open to receive into the origin");
        next.receiving = receiving;
        return {};
      },
      std::move(done));
}

void Engine::set_replica(const Replica& replica, Done done) {
  impl_->change_replication(
      [replica](Replication& next) -> Status {
        const auto known = std::ranges::find(next.replicas, replica.store, &Replica::store);
        if (known == next.replicas.end())
          next.replicas.push_back(replica);
        else
          *known = replica;
        return {};
      },
      std::move(done));
}

void Engine::forget_replica(const Uuid& store, Done done) {
  impl_->change_replication(
      [store](Replication& next) -> Status {
        if (std::erase_if(next.replicas, [&](const Replica& r) { return r.store == store; }) > 0)
          return {};
        return Status(Code::not_found, "no replica in store " + store.to_string() + " is known");
      },
      std::move(done));
}

}  // namespace csnap
