// SPDX-License-Identifier: Apache-2.0
// What streams need of the engine: who may write while one is received, which state of a snapshot a
// stream speaks of, and where a receive stands.
#include <algorithm>
#include <utility>

#include "server/engine_impl.h"
#include "store/replication_codec.h"

namespace csnap {
namespace {

Status needed_by_receive() {
  return {Code::denied,
          "the snapshot is what the origin is brought back to if the receive under way is given "
          "up, and can only be read until that is over"};
}

bool begins(const UnfinishedReceive& receiving, const std::optional<UnfinishedReceive>& before) {
  return !receiving.undone &&
         (!before || before->undone || before->identity != receiving.identity ||
          before->parent_id != receiving.parent_id);
}

}  // namespace

Status Engine::Impl::not_receiving(const Uuid& session) {
  return {Code::stale, "session " + session.to_string() + " is not open to receive"};
}

bool Engine::Impl::accessed(SnapshotId volume, Access access) const {
  return std::ranges::any_of(clients,
                             [&](const auto& c) {
                               return c.second.volume == volume && c.second.access == access &&
                                      !c.second.evicted;
                             }) ||
         std::ranges::any_of(opening, [&](const auto& o) {
           return o.second.volume == volume && o.second.access == access && o.second.admitted;
         });
}

bool Engine::Impl::receives(const Uuid& session) const {
  const auto known = clients_by_id.find(session);
  return known != clients_by_id.end() && clients.at(known->second).access == Access::receive;
}

bool Engine::Impl::is_parent_of_receive(SnapshotId id) const {
  const auto& receiving = state->replication().receiving;
  return receiving && !receiving->undone && id != kOrigin && receiving->parent_id == id;
}

Status Engine::Impl::admit(SnapshotId volume, Access access, bool resumed) const {
  if (access == Access::read) return {};
  const Replication& replication = state->replication();
  if (volume != kOrigin && access == Access::receive)
    return Status(Code::invalid, "streams are received by the origin");
  if (volume != kOrigin)
    return is_parent_of_receive(volume) && !resumed ? needed_by_receive() : Status();
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
  // Others may have written to the origin since: nothing kept them out.
  if (resumed && !replication.receiving)
    return Status(Code::stale,
                  "the session had not begun to receive before the server's restart; begin anew");
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
                    if (is_parent_of_receive(id)) return needed_by_receive();
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

void Engine::set_receiving(const Uuid& session, std::optional<UnfinishedReceive> receiving,
                           Done done) {
  impl_->change_replication(
      [&e = *impl_, session, receiving = std::move(receiving)](Replication& next) -> Status {
        if (!e.receives(session)) return Impl::not_receiving(session);
        if (receiving && receiving->parent && receiving->parent_id != kOrigin &&
            begins(*receiving, next.receiving)) {
          // What the receiver has found out about it holds only if it is there and as it was.
          const Snapshot* parent = e.state->snapshots().find_live(receiving->parent_id);
          if (!parent || parent->written)
            return Status(Code::stale,
                          "the snapshot that the stream begins with was deleted or written to");
        }
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
