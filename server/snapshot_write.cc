// SPDX-License-Identifier: Apache-2.0
// A snapshot write needs a place that is this snapshot's alone and may be rewritten:
//   no exception             copy from the origin, exception with the own bit     -> look again
//   shared with others       copy from the store, own bit leaves the old one      -> look again
//   own, checksummed         compare and void the checksum, in a commit after the one that added it
//   own, rewritable          there
// Whole chunks about to be overwritten are not copied: they get a provisional place, which
// finish_write makes the snapshot's.
#include <map>

#include "server/data_ops.h"

namespace csnap {
namespace {

constexpr std::uint64_t kChangesPerRequest = 64;

class SnapshotWrite : public RangeOp {
 public:
  SnapshotWrite(Engine::Impl& engine, ClientKey client, std::vector<ChunkRun> ranges,
                bool overwrite, Engine::WriteDone done)
      : RangeOp(engine, client, std::move(ranges)), overwrite_(overwrite), done_(std::move(done)) {}

 protected:
  void advance() override {
    for (;;) {
      if (!error_.ok()) return pending_ == 0 ? fail(error_) : void();
      while (!at_end())
        if (!look()) return;
      if (pending_ > 0) return;
      if (!again_) return grant();
      again_ = false;
      pieces_.clear();
      rewind();
    }
  }

  void fail(const Status& status) override {
    pieces_.clear();
    finish();
    if (!silent()) done_(status);
  }

 private:
  bool look() {
    if (pending_ >= kChangesPerRequest) return false;
    ClientState* client = engine_.client(client_);
    const Snapshot* snapshot = client ? engine_.live_volume(*client) : nullptr;
    if (!snapshot) return give_up(Engine::Impl::volume_deleted());
    Mapping mapping;
    if (!find_mapping(mapping)) return false;
    const ShareMask bit = mask_of_bit(snapshot->bit);
    if (!(engine_.written & bit)) return mark(snapshot->id);
    const Exception* e = mapping.find(bit);
    const bool lost = e && is_lost(e->store);
    if (e && !lost && engine_.exclusive(*e, bit)) return own(mapping.chunks, e->store);
    if (e && (e->mask & engine_.undead)) {
      // Shared with a snapshot whose deletion is not durable yet.
      engine_.undead_waiters.push_back(when_it_happens());
      return false;
    }
    if (overwrite_) {
      const Status placed = place(*client, mapping.chunks);
      if (placed.ok()) return true;
      if (placed.code() == Code::busy) return false;
      if (placed.code() == Code::need_block) {
        wait_for_block(placed);
        return false;
      }
      // No room for a pool, or too many of them in use: a copy may still do.
      if (lost) return give_up(placed);
    }
    if (lost) return give_up(lost_data(mapping.chunks, snapshot->name));
    copy(mapping.chunks, e, snapshot->id, bit);
    return true;
  }

  // The first write: from now on the snapshot is not what it was created or received as.
  bool mark(SnapshotId snapshot) {
    again_ = true;
    ++pending_;
    engine_.mark_written(
        snapshot, [this, self = shared_from_this()](const Status& status) { changed(status); });
    return false;
  }

  // Fails once what is under way is through.
  bool give_up(const Status& status) {
    error_ = status;
    if (pending_ == 0) fail(error_);
    return false;
  }

  // The snapshot's own place: rewritable, or to be made so.
  bool own(ChunkRun run, StoreChunk store) {
    const auto first = engine_.state->checksums().get(store);
    if (!first.ok()) return wait_or_fail(first.status());
    // What stays of a chunk that is written in part must be sound: its checksum goes.
    const bool verify = *first != 0 && !overwrite_ && !is_fresh(store);
    if (verify) run.count = std::min(run.count, engine_.copier->max_job_chunks());
    std::uint64_t count = 1;
    for (; count < run.count; ++count) {
      const auto crc = engine_.state->checksums().get(store + count);
      if (!crc.ok()) break;  // that one's turn comes
      if ((*crc == 0) != (*first == 0)) break;
      if (*first != 0 && !overwrite_ && is_fresh(store + count) == verify) break;
    }
    if (*first == 0) {
      add_piece({{run.start, count}, store, false});
    } else {
      again_ = true;
      ++pending_;
      const StoreRun places{store, count};
      auto build = [places](std::vector<Record>& records) -> Status {
        records.push_back(DataMutable{places});
        return {};
      };
      auto told = [this, self = shared_from_this()](const Status& status) { changed(status); };
      if (verify)
        engine_.verify_and_commit({run.start, count}, store, std::move(build), std::move(told));
      else
        engine_.commit_busy({run.start, count}, std::move(build), std::move(told));
    }
    move(count);
    return true;
  }

  // Copied by this very request.
  bool is_fresh(StoreChunk place) const {
    return std::any_of(fresh_.begin(), fresh_.end(),
                       [&](const StoreRun& run) { return run.contains(place); });
  }

  bool wait_or_fail(const Status& status) {
    if (status.code() == Code::need_block)
      wait_for_block(status);
    else
      fail(status);
    return false;
  }

  // Finds provisional places, those that an earlier pass was given first. busy: wait, arranged for.
  Status place(ClientState& client, ChunkRun run) {
    const auto had = provisional_.find(run.start);
    StoreRun places =
        had != provisional_.end() ? had->second : engine_.take_from_pool(client, run.count);
    if (places.count == 0) {
      const Status growing = engine_.grow_pool(client, when_it_happens());
      if (growing.ok()) return Status(Code::busy, "waiting for room");
      // It will not happen after all.
      unblock();
      return growing;
    }
    if (places.count > run.count) {
      // An earlier pass found a longer run here; keep the rest under its own start.
      provisional_[run.start + run.count] = {places.start + run.count, places.count - run.count};
      places.count = run.count;
    }
    provisional_[run.start] = places;
    add_piece({{run.start, places.count}, places.start, true});
    move(places.count);
    return {};
  }

  void copy(ChunkRun run, const Exception* shared, SnapshotId snapshot, ShareMask bit) {
    run.count = std::min(run.count, engine_.copier->max_job_chunks());
    again_ = true;
    ++pending_;
    move(run.count);
    auto* engine = &engine_;
    const bool had = shared != nullptr;
    engine_.copy_and_commit(
        {client_, run, !had, had ? shared->store : StoreChunk()},
        [engine, run, had, snapshot, bit, this, self = shared_from_this()](
            const Copied& copied, std::vector<Record>& records) -> Status {
          fresh_.push_back(copied.store);
          if (!engine->state->snapshots().find_live(snapshot))
            return Engine::Impl::volume_deleted();
          if (had) records.push_back(SharesCleared{{run.start, copied.store.count}, bit});
          records.push_back(ExceptionAdded{run.start, copied.store.start, bit, copied.crcs});
          return {};
        },
        [this, self = shared_from_this()](const Status& status) { changed(status); });
  }

  void add_piece(const WritePiece& piece) {
    if (!pieces_.empty()) {
      WritePiece& last = pieces_.back();
      if (last.chunks.end() == piece.chunks.start && last.provisional == piece.provisional &&
          last.store + last.chunks.count == piece.store) {
        last.chunks.count += piece.chunks.count;
        return;
      }
    }
    pieces_.push_back(piece);
  }

  void grant() {
    finish();
    if (!silent()) done_(std::move(pieces_));
  }

  // Ends; gives back the provisional places that the answer does not name.
  void finish() {
    end();
    ++engine_.snapshot_writes;
    if (ClientState* client = engine_.client(client_)) {
      for (const auto& given : provisional_) {
        const bool named = std::any_of(pieces_.begin(), pieces_.end(), [&](const WritePiece& p) {
          return p.provisional && p.chunks.contains(given.first) && !silent();
        });
        if (!named) engine_.finish_in_pool(*client, given.second);
      }
    }
    engine_.remove_op(shared_from_this(), client_);
  }

  bool overwrite_;
  Engine::WriteDone done_;
  std::vector<WritePiece> pieces_;
  std::map<Chunk, StoreRun> provisional_;
  std::vector<StoreRun> fresh_;
  bool again_ = false;
};

}  // namespace

void start_snapshot_write(Engine::Impl& engine, ClientState& client, std::vector<ChunkRun> ranges,
                          bool overwrite, Engine::WriteDone done) {
  auto op = std::make_shared<SnapshotWrite>(engine, client.key, std::move(ranges), overwrite,
                                            std::move(done));
  engine.add_op(client, op);
  op->run();
}

}  // namespace csnap
