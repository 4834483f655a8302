// SPDX-License-Identifier: Apache-2.0
// Deleting, renaming and looking: what an administrator asks.
#include <algorithm>
#include <utility>

#include "server/data_ops.h"
#include "server/engine_impl.h"

namespace csnap {

void Engine::delete_snapshot(const std::string& name, bool force, Done done) {
  Impl& e = *impl_;
  if (e.stopping) return done(Status(Code::unavailable, "the server is stopping"));
  const Result<Snapshot> found = find_snapshot(name);
  if (!found.ok()) return e.committer->refuse(found.status(), std::move(done));
  const SnapshotId id = found->id;
  if (!force && (e.open_on(id) || e.unsettled_on(id)))
    return done(
        Status(Code::busy,
               "snapshot '" + name + "' is in use; close it everywhere, or delete it with force"));
  const ShareMask bit = mask_of_bit(found->bit);
  ++e.changes;
  e.committer->add({[&e, id, bit, name, force](std::vector<Record>& records) -> Status {
                      if (!e.state->snapshots().find_live(id)) return Impl::volume_deleted();
                      if (!force && e.is_parent_of_receive(id))
                        return Status(Code::busy,
                                      "snapshot '" + name +
                                          "' is what the origin is brought back to if the receive "
                                          "under way is given up; finish that or give it up first, "
                                          "or delete the snapshot with force");
                      records.push_back(SnapshotDeleted{id});
                      // Until this is durable a crash would bring the snapshot back: it still
                      // counts.
                      e.undead |= bit;
                      return {};
                    },
                    [&e, id, bit, name, done = std::move(done)](const Status& status) {
                      --e.changes;
                      if (status.ok()) e.undead &= ~bit;
                      e.later(std::exchange(e.undead_waiters, {}));
                      if (status.ok())
                        for (const auto& [key, client] : e.clients)
                          if (client.volume == id)
                            e.events.evict(key, "snapshot '" + name + "' was deleted");
                      done(status);
                    }});
}

void Engine::rename_snapshot(const std::string& from, const std::string& to, Done done) {
  Impl& e = *impl_;
  if (e.stopping) return done(Status(Code::unavailable, "the server is stopping"));
  if (const Status fit = check_snapshot_name(to); !fit.ok()) return done(fit);
  const Result<Snapshot> found = find_snapshot(from);
  if (!found.ok()) return e.committer->refuse(found.status(), std::move(done));
  ++e.changes;
  e.committer->add({[&e, id = found->id, to](std::vector<Record>& records) -> Status {
                      const auto& snapshots = e.state->snapshots();
                      if (!snapshots.find_live(id)) return Impl::volume_deleted();
                      if (e.state->snapshots().find_live(to))
                        return Status(Code::exists,
                                      "a snapshot named '" + to + "' is there already");
                      records.push_back(SnapshotRenamed{id, to});
                      return {};
                    },
                    [&e, done = std::move(done)](const Status& status) {
                      --e.changes;
                      done(status);
                    }});
}

std::vector<SnapshotInfo> Engine::list() const {
  std::vector<SnapshotInfo> list;
  for (const auto& snapshot : impl_->state->snapshots().all()) {
    const auto clients = std::count_if(
        impl_->clients.begin(), impl_->clients.end(),
        [&](const auto& c) { return c.second.volume == snapshot.id && !c.second.evicted; });
    list.push_back({snapshot, static_cast<std::uint64_t>(clients)});
  }
  return list;
}

EngineStatus Engine::status() const {
  const Impl& e = *impl_;
  EngineStatus s;
  s.superblock = e.state->superblock();
  s.replication = e.state->replication();
  for (const auto& snapshot : e.state->snapshots().all())
    ++(snapshot.deleting ? s.deleting : s.snapshots);
  s.clients = e.clients.size();
  s.store_chunks = s.superblock.store_chunks();
  s.free_chunks = e.state->data().free_chunks();
  s.held_chunks = s.free_chunks - std::min(s.free_chunks, e.state->data().available_chunks());
  s.exception_chunks = s.superblock.exceptions;
  s.cache_blocks = e.state->cache().size();
  s.cache_capacity = e.state->cache().capacity();
  s.dirty_blocks = e.state->cache().dirty();
  s.cache_hits = e.state->cache().counters().hits;
  s.cache_misses = e.state->cache().counters().misses;
  s.journal_blocks = e.journal->capacity();
  s.journal_live_blocks = e.journal->live_blocks();
  s.commits = e.committer->commits();
  s.checkpoints = e.committer->checkpointer().completed();
  s.copied_chunks = e.copier->copied_chunks();
  s.copied_by_clients = e.client_copies->copied_chunks();
  s.origin_writes = e.origin_writes;
  s.snapshot_reads = e.snapshot_reads;
  s.snapshot_writes = e.snapshot_writes;
  s.failed = !e.committer->failure().ok();
  s.failure = s.failed ? e.committer->failure().to_string() : std::string();
  return s;
}

std::vector<LockInfo> Engine::locks() const {
  std::vector<LockInfo> list;
  for (const auto& held : impl_->locks.all()) {
    const ClientState* c = impl_->client(held.owner.first);
    if (c) list.push_back({c->id, c->volume, held.owner.second, held.run, held.waiting});
  }
  return list;
}

std::vector<ClientInfo> Engine::clients() const {
  std::vector<ClientInfo> list;
  for (const auto& [key, c] : impl_->clients) {
    std::uint64_t provisional = 0;
    for (const auto& slot : c.pools) provisional += slot.outstanding;
    list.push_back({c.id, c.volume, true, c.access == Access::read, c.reads.size(), provisional});
  }
  for (const auto& [id, volume] : impl_->absent) list.push_back({id, volume, false, false, 0, 0});
  return list;
}

namespace {

class DumpPage : public Op {
 public:
  DumpPage(Engine::Impl& engine, Chunk from, std::size_t limit,
           std::function<void(Result<Engine::DumpPage>)> done)
      : Op(engine), limit_(limit), done_(std::move(done)) {
    page_.next = from;
  }

 protected:
  void advance() override {
    while (page_.lines.size() < limit_) {
      const auto mapping = engine_.state->tree().next_mapping(page_.next);
      if (mapping.status().code() == Code::need_block) return wait_for_block(mapping.status());
      if (!mapping.ok()) return fail(mapping.status());
      if (!*mapping) return answer(false);
      for (unsigned i = 0; i < (*mapping)->count; ++i) {
        const Exception& e = (*mapping)->exceptions[i];
        page_.lines.push_back({(*mapping)->chunks, e.store, e.mask});
      }
      page_.next = (*mapping)->chunks.end();
    }
    answer(true);
  }
  void fail(const Status& status) override {
    finish();
    if (!silent()) done_(status);
  }

 private:
  void answer(bool more) {
    page_.more = more;
    finish();
    done_(std::move(page_));
  }
  void finish() {
    end();
    engine_.admin_ops.erase(shared_from_this());
  }

  std::size_t limit_;
  Engine::DumpPage page_;
  std::function<void(Result<Engine::DumpPage>)> done_;
};

}  // namespace

void start_dump(Engine::Impl& engine, Chunk from, std::size_t limit,
                std::function<void(Result<Engine::DumpPage>)> done) {
  const auto op = std::make_shared<DumpPage>(engine, from, limit, std::move(done));
  engine.admin_ops.insert(op);
  op->run();
}

}  // namespace csnap
