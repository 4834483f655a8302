// SPDX-License-Identifier: Apache-2.0
// An origin write is granted once every snapshot has an exception for its chunks, nobody reads
// those chunks of the origin on behalf of a snapshot, and no barrier stands in the way.
#include "server/data_ops.h"

namespace csnap {
namespace {

constexpr std::uint64_t kCopiesPerRequest = 64;

class OriginWrite : public RangeOp {
 public:
  OriginWrite(Engine::Impl& engine, ClientKey client, std::vector<ChunkRun> ranges,
              Engine::Done done)
      : RangeOp(engine, client, std::move(ranges)),
        done_(std::move(done)),
        generation_(engine.generation) {}

 protected:
  void advance() override {
    for (;;) {
      if (!error_.ok()) return pending_ == 0 ? answer(error_) : void();
      if (engine_.barrier->active()) {
        if (pending_ == 0) engine_.barrier->wait(when_it_happens());
        return;
      }
      if (generation_ != engine_.generation) {
        generation_ = engine_.generation;
        rewind();
      }
      while (!at_end())
        if (!look()) return;
      if (pending_ > 0) return;
      if (!again_) return grant();
      // Copies were made: look once more, for a snapshot may have come or a copy been cut short.
      again_ = false;
      rewind();
    }
  }

  void fail(const Status& status) override { answer(status); }

 private:
  // Deals with the run under the cursor. false: wait.
  bool look() {
    if (pending_ >= kCopiesPerRequest) return false;
    Mapping mapping;
    if (!find_mapping(mapping)) return false;
    const ShareMask missing = engine_.active() & ~mapping.shared;
    if (missing == 0) {
      move(mapping.chunks.count);
      return true;
    }
    if ((missing & ~engine_.undead) == 0) {
      engine_.undead_waiters.push_back(when_it_happens());
      return false;
    }
    copy_out(
        {mapping.chunks.start, std::min(mapping.chunks.count, engine_.copier->max_job_chunks())},
        missing);
    return true;
  }

  void copy_out(ChunkRun run, ShareMask missing) {
    again_ = true;
    ++pending_;
    move(run.count);
    auto* engine = &engine_;
    engine_.copy_and_commit(
        {.client = client_, .run = run, .from = {}},
        [engine, run, missing](const Copied& copied, std::vector<Record>& records) -> Status {
          // Snapshots deleted meanwhile need no copy; if none is left, nobody does.
          const ShareMask mask = missing & engine->state->snapshots().active();
          if (mask != 0)
            records.push_back(ExceptionAdded{run.start, copied.store.start, mask, copied.crcs});
          return {};
        },
        [this, self = shared_from_this()](const Status& status) { changed(status); });
  }

  void grant() {
    if (engine_.readers_unsettled) {
      engine_.settle_waiters.push_back(when_it_happens());
      return;
    }
    if (engine_.locks.overlaps(ranges_)) {
      engine_.locks.wait(ranges_, when_it_happens());
      return;
    }
    answer({});
  }

  void answer(const Status& status) {
    end();
    ++engine_.origin_writes;
    engine_.remove_op(shared_from_this(), client_);
    if (!silent()) done_(status);
  }

  Engine::Done done_;
  std::uint64_t generation_;
  bool again_ = false;
};

}  // namespace

bool grant_at_once(Engine::Impl& engine, std::span<const ChunkRun> ranges) {
  if (engine.barrier->active() || engine.readers_unsettled) return false;
  const ShareMask active = engine.active();
  if (active != 0) engine.state->tree().warm(ranges);
  Mapping mapping;
  for (const auto& range : ranges) {
    if (!engine.busy.empty() && engine.busy.find(range)) return false;
    for (Chunk at = range.start; active != 0 && at < range.end(); at = mapping.chunks.end()) {
      if (!engine.state->tree().lookup(at, range.end() - at, mapping).ok()) return false;
      if (active & ~mapping.shared) return false;
    }
  }
  if (engine.locks.overlaps(ranges)) return false;
  ++engine.origin_writes;
  return true;
}

void start_origin_write(Engine::Impl& engine, ClientState& client, std::vector<ChunkRun> ranges,
                        Engine::Done done) {
  if (grant_at_once(engine, ranges)) return done({});
  auto op = std::make_shared<OriginWrite>(engine, client.key, std::move(ranges), std::move(done));
  engine.add_op(client, op);
  op->run();
}

}  // namespace csnap
