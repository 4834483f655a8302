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

void Engine::Impl::copy_and_commit(ChunkRun run, bool from_origin, StoreChunk from, Build build,
                                   std::function<void(Status)> done) {
  busy.acquire(run);
  ++changes;
  auto finish = [this, run, done = std::move(done)](const Status& status) {
    release_busy(run);
    --changes;
    if (status.code() == Code::no_space) log_full_store();
    done(status);
  };
  copy(run, from_origin, from, std::move(build), std::move(finish));
}

void Engine::Impl::copy(ChunkRun run, bool from_origin, StoreChunk from, Build build,
                        std::function<void(Status)> finish) {
  copier->add(
      {run, from_origin, from, false,
       [this, run, from_origin, from, build = std::move(build),
        finish = std::move(finish)](Result<Copied> result) {
         if (result.status().code() == Code::no_space && reclaim_pools()) {
           // What clients had set aside comes free when the units before this one are
           // through.
           committer->add({[](std::vector<Record>&) { return Status(); },
                           [=, this](const Status& status) {
                             if (!status.ok()) return finish(status);
                             copy(run, from_origin, from, build, finish);
                           }});
           return;
         }
         if (result.status().code() == Code::no_space && (checkpoint_frees() || has_released())) {
           space_waiters.push_back([=, this] { copy(run, from_origin, from, build, finish); });
           return;
         }
         if (!result.ok()) return finish(result.status());
         auto copied = std::make_shared<Copied>(std::move(result).value());
         committer->add(
             {[build, copied](std::vector<Record>& records) { return build(*copied, records); },
              [this, copied, finish](const Status& status) {
                state->data().unreserve(copied->store);
                finish(status);
              }});
       }});
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
