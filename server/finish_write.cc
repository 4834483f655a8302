// SPDX-License-Identifier: Apache-2.0
// The second half of an overwrite: the data is in its provisional place; the exception makes it the
// snapshot's content. Somebody may have been faster: if the snapshot has a place of its own by
// now, clients may know that one, and it stays; the writer is told to write again, there.
#include "server/data_ops.h"
#include "store/crc.h"

namespace csnap {
namespace {

std::vector<ChunkRun> chunks_of(const std::vector<WrittenRun>& runs) {
  std::vector<ChunkRun> chunks;
  chunks.reserve(runs.size());
  for (const auto& run : runs) chunks.push_back(run.chunks);
  return chunks;
}

class FinishWrite : public RangeOp {
 public:
  FinishWrite(Engine::Impl& engine, ClientKey client, std::vector<WrittenRun> runs,
              Engine::Done done)
      : RangeOp(engine, client, chunks_of(runs)), runs_(std::move(runs)), done_(std::move(done)) {}

 protected:
  void advance() override {
    while (error_.ok() && !at_end())
      if (!look()) return;
    if (pending_ > 0) return;
    if (!error_.ok()) return answer(error_);
    answer(stale_ ? Status(Code::stale, "the place was given up meanwhile; write again")
                  : Status());
  }

  void fail(const Status& status) override { answer(status); }

 private:
  bool look() {
    const ClientState* client = engine_.client(client_);
    const Snapshot* snapshot = client ? engine_.live_volume(*client) : nullptr;
    if (!snapshot) {
      error_ = Engine::Impl::volume_deleted();
      return true;
    }
    Mapping mapping;
    if (!find_mapping(mapping)) return false;
    const ShareMask bit = mask_of_bit(snapshot->bit);
    const ChunkRun run{mapping.chunks.start,
                       std::min<std::uint64_t>(mapping.chunks.count, kMaxRecordRun)};
    const WrittenRun& written = written_at(run.start);
    const StoreChunk store = written.store + (run.start - written.chunks.start);
    const Exception* e = mapping.find(bit);
    if (e && e->store == store) {
      // A request sent again whose answer was lost.
    } else if (e && engine_.exclusive(*e, bit) && !is_lost(e->store)) {
      stale_ = true;
    } else if (e && (e->mask & engine_.undead)) {
      engine_.undead_waiters.push_back(when_it_happens());
      return false;
    } else {
      add_exception(run, store, written, e != nullptr, snapshot->id, bit);
    }
    move(run.count);
    return true;
  }

  void add_exception(ChunkRun run, StoreChunk store, const WrittenRun& written, bool had,
                     SnapshotId snapshot, ShareMask bit) {
    const auto first = written.crcs.begin() + static_cast<long>(run.start - written.chunks.start);
    ExceptionAdded added{run.start, store, bit, {first, first + static_cast<long>(run.count)}};
    for (auto& crc : added.crcs) crc = stored_checksum(crc);
    auto* engine = &engine_;
    ++pending_;
    engine_.commit_busy(
        run,
        [engine, run, had, snapshot, added](std::vector<Record>& records) -> Status {
          if (!engine->state->snapshots().find_live(snapshot))
            return Engine::Impl::volume_deleted();
          if (had) records.push_back(SharesCleared{run, added.mask});
          records.push_back(added);
          return {};
        },
        [this, self = shared_from_this()](const Status& status) { changed(status); });
  }

  const WrittenRun& written_at(Chunk chunk) const {
    for (const auto& run : runs_)
      if (run.chunks.contains(chunk)) return run;
    return runs_.front();  // not reached: the cursor moves over these very runs
  }

  void answer(const Status& status) {
    end();
    ++engine_.snapshot_writes;
    if (ClientState* client = engine_.client(client_))
      for (const auto& run : runs_) engine_.finish_in_pool(*client, {run.store, run.chunks.count});
    engine_.remove_op(shared_from_this(), client_);
    if (!silent()) done_(status);
  }

  std::vector<WrittenRun> runs_;
  Engine::Done done_;
  bool stale_ = false;
};

}  // namespace

void start_finish_write(Engine::Impl& engine, ClientState& client, std::vector<WrittenRun> runs,
                        Engine::Done done) {
  auto op = std::make_shared<FinishWrite>(engine, client.key, std::move(runs), std::move(done));
  engine.add_op(client, op);
  op->run();
}

}  // namespace csnap
