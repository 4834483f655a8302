// SPDX-License-Identifier: Apache-2.0
// How a change to the tree is made: chunks busy, data copied, records committed, told.
#include <memory>
#include <utility>

#include "server/engine_impl.h"

namespace csnap {

// Once a commit could not be written, the state in memory is ahead of the disk. What differs stays
// busy: nobody is told of it, and everything else goes on being served.
void Engine::Impl::release_busy(ChunkRun run) {
  later(committer->failure().ok() ? busy.release(run) : busy.give_up(run));
}

void Engine::Impl::copy_and_commit(const CopyWanted& wanted, Build build,
                                   std::function<void(Status)> done) {
  busy.acquire(wanted.run);
  ++changes;
  auto finish = [this, run = wanted.run, done = std::move(done)](const Status& status) {
    release_busy(run);
    --changes;
    if (status.code() == Code::no_space) log_full_store();
    done(status);
  };
  copy(wanted, true, std::move(build), std::move(finish));
}

// by_client: if it can.
void Engine::Impl::copy(const CopyWanted& wanted, bool by_client, Build build,
                        std::function<void(Status)> finish) {
  CopyJob job{
      .chunks = wanted.run, .from_origin = wanted.from_origin, .from = wanted.from, .done = {}};
  job.done = [this, wanted, build = std::move(build),
              finish = std::move(finish)](Result<Copied> result) {
    if (result.status().code() == Code::no_space && reclaim_pools()) {
      // What clients had set aside comes free when the units before this one are through.
      committer->add({[](std::vector<Record>&) { return Status(); },
                      [=, this](const Status& status) {
                        if (!status.ok()) return finish(status);
                        copy(wanted, false, build, finish);
                      }});
      return;
    }
    if (result.status().code() == Code::no_space && (checkpoint_frees() || has_released())) {
      space_waiters.push_back([=, this] { copy(wanted, false, build, finish); });
      return;
    }
    if (!result.ok()) return finish(result.status());
    auto copied = std::make_shared<Copied>(std::move(result).value());
    committer->add(
        {[build, copied](std::vector<Record>& records) { return build(*copied, records); },
         [this, copied, finish](const Status& status) {
           release_place(*copied);
           finish(status);
         }});
  };
  if (by_client && client_copies->wanted_of(wanted.client))
    client_copies->add(wanted.client, std::move(job));
  else
    copier->add(std::move(job));
}

void Engine::Impl::release_place(const Copied& copied) {
  if (copied.pool_of == 0) return state->data().unreserve(copied.store);
  if (ClientState* c = client(copied.pool_of)) finish_in_pool(*c, copied.store);
}

void Engine::Impl::verify_and_commit(ChunkRun run, StoreChunk where,
                                     std::function<Status(std::vector<Record>&)> build,
                                     std::function<void(Status)> done) {
  busy.acquire(run);
  ++changes;
  auto finish = [this, run, done = std::move(done)](const Status& status) {
    release_busy(run);
    --changes;
    done(status);
  };
  CopyJob job{.chunks = run, .from_origin = false, .from = where, .verify_only = true, .done = {}};
  job.done = [this, build = std::move(build),
              finish = std::move(finish)](const Result<Copied>& result) mutable {
    if (!result.ok()) return finish(result.status());
    committer->add({std::move(build), std::move(finish)});
  };
  copier->add(std::move(job));
}

void Engine::Impl::commit_busy(ChunkRun run, std::function<Status(std::vector<Record>&)> build,
                               std::function<void(Status)> done) {
  busy.acquire(run);
  ++changes;
  committer->add({std::move(build), [this, run, done = std::move(done)](const Status& status) {
                    release_busy(run);
                    --changes;
                    done(status);
                  }});
}

void Engine::Impl::commit(Record record, std::function<void(Status)> done) {
  committer->add({[record = std::move(record)](std::vector<Record>& records) -> Status {
                    records.push_back(record);
                    return {};
                  },
                  std::move(done)});
}

void Engine::Impl::log_full_store() {
  constexpr std::uint64_t kSilenceMs = 10000;
  if (told_full && now_ms < told_full_ms + kSilenceMs) return;
  told_full = true;
  told_full_ms = now_ms;
  log(EngineEvents::Level::error,
      devices.store->name() +
          ": the store is full; writes that need a copy fail until a snapshot is deleted");
}

}  // namespace csnap
