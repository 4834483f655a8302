// SPDX-License-Identifier: Apache-2.0
// One step of a check of the live store: as much as a page allows, then what it wants read, then
// the answer.
#include <algorithm>
#include <memory>

#include "server/data_ops.h"
#include "store/aligned_buffer.h"

namespace csnap {
namespace {

constexpr std::uint64_t kStepsPerPage = 64;       // a leaf or a bitmap block each
constexpr std::uint64_t kDataPerPage = 8u << 20;  // bytes
constexpr std::size_t kFindingsPerPage = 256;
constexpr std::uint64_t kPatienceMs = 60'000;

class CheckStep : public Op {
 public:
  CheckStep(Engine::Impl& engine, std::function<void(Result<Engine::CheckPage>)> done)
      : Op(engine),
        done_(std::move(done)),
        id_(engine.check_id),
        reading_(engine.quarantine.begin_read()) {
    engine_.check_stepping = true;
  }

 protected:
  void advance() override {
    LiveCheck* check = current();
    if (check == nullptr) return fail(Status(Code::stale, "another check of the store was begun"));
    const unsigned shift = engine_.state->superblock().chunk_shift;
    while (!check->done() && steps_ < kStepsPerPage && data_ << shift < kDataPerPage) {
      LiveCheck::Wants wants;
      const Status status = check->step(wants);
      for (const auto& [block, kind] : wants.blocks) compare_block(block, kind, 1);
      for (const auto& [chunks, store] : wants.data) compare_data(chunks, store);
      if (status.code() == Code::need_block) return fetch(BlockAddress(status.detail()));
      ++steps_;
    }
    if (pending_ == 0) answer(*check);
  }

  void fail(const Status& status) override {
    finish();
    if (!silent()) done_(status);
  }

 private:
  LiveCheck* current() const {
    return engine_.check_id == id_ ? engine_.live_check.get() : nullptr;
  }

  void fetch(BlockAddress block) {
    auto resume = when_it_happens();
    engine_.state->cache().fetch(block, [this, self = shared_from_this(), block,
                                         resume = std::move(resume)](const Status& status) {
      if (LiveCheck* check = current(); check != nullptr && !status.ok())
        check->unreadable(block, status);
      engine_.later(resume);
    });
  }

  // Reads the copy on disk. It may be being written just now: one that looks bad is read again.
  void compare_block(BlockAddress block, BlockKind kind, int tries) {
    ++pending_;
    auto buffer = std::make_shared<AlignedBuffer>(kBlockSize);
    engine_.metadata_device().submit(
        {IoKind::read, block.value * kBlockSize, buffer->span(),
         [this, self = shared_from_this(), buffer, block, kind, tries](Status status) {
           --pending_;
           LiveCheck* check = current();
           if (status.ok())
             status = check_block(buffer->span(), kind, block, engine_.state->superblock().uuid);
           if (!status.ok() && check != nullptr && tries < 3) {
             if (!engine_.state->cache().is_ahead(block))
               return compare_block(block, kind, tries + 1);
           } else if (check != nullptr) {
             check->on_disk(block, kind, status);
           }
           engine_.later([self] { self->run(); });
         }});
  }

  void compare_data(ChunkRun chunks, StoreChunk store) {
    data_ += chunks.count;
    const std::uint64_t most = engine_.copier->max_job_chunks();
    for (std::uint64_t at = 0; at < chunks.count; at += most)
      submit_data({chunks.start + at, std::min(most, chunks.count - at)}, store + at);
  }

  void submit_data(ChunkRun chunks, StoreChunk store) {
    ++pending_;
    CopyJob job{
        .chunks = chunks, .from_origin = false, .from = store, .verify_only = true, .done = {}};
    job.done = [this, self = shared_from_this(), chunks, store](const Result<Copied>& result) {
      --pending_;
      LiveCheck* check = current();
      if (!result.ok() && check != nullptr) {
        if (chunks.count > 1)
          for (std::uint64_t i = 0; i < chunks.count; ++i)
            submit_data({chunks.start + i, 1}, store + i);
        else
          check->data_failed(chunks, store, result.status());
      }
      engine_.later([self] { self->run(); });
    };
    engine_.copier->add(std::move(job));
  }

  void answer(LiveCheck& check) {
    Engine::CheckPage page;
    page.id = id_;
    page.done = check.done();
    page.progress = check.progress();
    page.findings = check.take_findings();
    if (page.findings.size() > kFindingsPerPage) {
      page.dropped = page.findings.size() - kFindingsPerPage;
      page.findings.resize(kFindingsPerPage);
    }
    page.counters = check.counters();
    if (page.done) engine_.live_check.reset();
    finish();
    if (!silent()) done_(std::move(page));
  }

  void finish() {
    end();
    engine_.quarantine.end_read(reading_);
    engine_.check_stepping = false;
    engine_.admin_ops.erase(shared_from_this());
  }

  std::function<void(Result<Engine::CheckPage>)> done_;
  std::uint64_t id_;
  Quarantine::Ticket reading_;  // what it compares is not used for anything else meanwhile
  std::uint64_t steps_ = 0, data_ = 0, pending_ = 0;
};

}  // namespace

void Engine::Impl::drop_stale_check() {
  if (live_check && !check_stepping && now_ms > check_asked_ms + kPatienceMs) live_check.reset();
}

void start_check(Engine::Impl& engine, const Engine::CheckRequest& request,
                 std::function<void(Result<Engine::CheckPage>)> done) {
  if (engine.check_stepping)
    return done(Status(Code::busy, "a step of a check is under way; wait for its answer"));
  if (request.begin) {
    engine.live_check.reset();  // it watches the state: first the old one goes, then the new comes
    engine.live_check = std::make_unique<LiveCheck>(*engine.state, request.data, [&engine] {
      return engine.active() | engine.state->snapshots().deleting();
    });
    ++engine.check_id;
  } else if (!engine.live_check || request.id != engine.check_id) {
    return done(Status(Code::stale, "there is no such check; begin a new one"));
  }
  engine.check_asked_ms = engine.now_ms;
  const auto op = std::make_shared<CheckStep>(engine, std::move(done));
  engine.admin_ops.insert(op);
  op->run();
}

}  // namespace csnap
