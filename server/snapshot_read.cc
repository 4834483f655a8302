// SPDX-License-Identifier: Apache-2.0
// A snapshot read is told, run by run, whether its data is in the store or still on the origin.
// What is on the origin is locked against origin writes until the read is finished; no place in the
// store that it was told of is used for anything else before. Checksums go along, so that the
// reader can tell bytes that rotted on the disk.
#include <algorithm>
#include <utility>

#include "server/data_ops.h"

namespace csnap {
namespace {

class SnapshotRead : public RangeOp {
 public:
  SnapshotRead(Engine::Impl& engine, ClientState& client, std::vector<ChunkRun> ranges,
               Engine::ReadDone done, std::uint64_t ahead)
      : RangeOp(engine, client.key, ranges),
        done_(std::move(done)),
        ahead_{ranges.empty() ? Chunk() : ranges.back().end(), ahead} {
    grant_.id = engine.next_read++;
    client.reads[grant_.id] = engine.quarantine.begin_read();
  }

 protected:
  void advance() override {
    const ClientState* client = engine_.client(client_);
    if (!client) return;
    while (!at_end()) {
      const Snapshot* snapshot = engine_.live_volume(*client);
      if (!snapshot) return fail(Engine::Impl::volume_deleted());
      Mapping mapping;
      if (!find_mapping(mapping)) return;
      const ShareMask bit = mask_of_bit(snapshot->bit);
      if (const Exception* e = mapping.find(bit); e && is_lost(e->store))
        return fail(lost_data(mapping.chunks, snapshot->name));
      if (!add_piece(mapping, bit)) return;
      move(mapping.chunks.count);
    }
    look_ahead(*client);
    finish();
    if (!silent()) done_(std::move(grant_));
  }

  void fail(const Status& status) override {
    finish();
    if (ClientState* client = engine_.client(client_)) engine_.finish_read(*client, grant_.id);
    if (!silent()) done_(status);
  }

 private:
  void finish() {
    end();
    ++engine_.snapshot_reads;
    engine_.remove_op(shared_from_this(), client_);
  }

  // false: it waits, or has failed.
  bool add_piece(const Mapping& mapping, ShareMask bit) {
    ReadPiece piece;
    piece.chunks = mapping.chunks;
    if (const Exception* e = mapping.find(bit)) {
      piece.store = e->store;
      piece.exclusive = engine_.exclusive(*e, bit);
      if (const Status found = find_checksums(piece); !found.ok()) {
        if (found.code() == Code::need_block)
          wait_for_block(found);
        else
          fail(found);
        return false;
      }
      piece.rewritable = piece.exclusive && piece.crcs.empty() && (engine_.written & bit) != 0;
    } else {
      piece.on_origin = true;
      engine_.locks.lock({client_, grant_.id}, piece.chunks);
    }
    add_to(grant_.pieces, std::move(piece));
    return true;
  }

  static void add_to(std::vector<ReadPiece>& pieces, ReadPiece piece) {
    if (!pieces.empty() && continues(pieces.back(), piece))
      append(pieces.back(), piece);
    else
      pieces.push_back(std::move(piece));
  }

  // What costs nothing to tell: it ends where a place may not be remembered, or a block is missing.
  void look_ahead(const ClientState& client) {
    const Snapshot* snapshot = engine_.live_volume(client);
    if (!snapshot) return;
    const ShareMask bit = mask_of_bit(snapshot->bit);
    // What is being changed may look as it will, and not be durable.
    const auto busy = engine_.busy.find(ahead_);
    const Chunk end = busy ? std::max(busy->start, ahead_.start) : ahead_.end();
    Mapping mapping;
    for (Chunk at = ahead_.start; at < end; at = mapping.chunks.end()) {
      if (!engine_.state->tree().lookup(at, end - at, mapping).ok()) return;
      const Exception* e = mapping.find(bit);
      if (!e || is_lost(e->store) || !engine_.exclusive(*e, bit)) return;
      ReadPiece piece;
      piece.chunks = mapping.chunks;
      piece.store = e->store;
      piece.exclusive = true;
      if (!find_checksums(piece).ok()) return;
      piece.rewritable = piece.crcs.empty() && (engine_.written & bit) != 0;
      add_to(grant_.ahead, std::move(piece));
    }
  }

  Status find_checksums(ReadPiece& piece) {
    piece.crcs.resize(piece.chunks.count);
    bool any = false;
    for (std::uint64_t i = 0; i < piece.chunks.count; ++i) {
      CSNAP_ASSIGN(piece.crcs[i], engine_.state->checksums().get(piece.store + i));
      any |= piece.crcs[i] != 0;
    }
    if (!any) piece.crcs.clear();
    return {};
  }

  static bool continues(const ReadPiece& a, const ReadPiece& b) {
    return a.chunks.end() == b.chunks.start && a.on_origin == b.on_origin &&
           a.exclusive == b.exclusive && a.rewritable == b.rewritable &&
           (a.on_origin || a.store + a.chunks.count == b.store);
  }

  static void append(ReadPiece& a, const ReadPiece& b) {
    if (!a.crcs.empty() || !b.crcs.empty()) {
      a.crcs.resize(a.chunks.count);
      a.crcs.insert(a.crcs.end(), b.crcs.begin(), b.crcs.end());
      a.crcs.resize(a.chunks.count + b.chunks.count);
    }
    a.chunks.count += b.chunks.count;
  }

  Engine::ReadDone done_;
  const ChunkRun ahead_;
  ReadGrant grant_;
};

}  // namespace

void start_snapshot_read(Engine::Impl& engine, ClientState& client, std::vector<ChunkRun> ranges,
                         Engine::ReadDone done, std::uint64_t ahead) {
  auto op =
      std::make_shared<SnapshotRead>(engine, client, std::move(ranges), std::move(done), ahead);
  engine.add_op(client, op);
  op->run();
}

}  // namespace csnap
