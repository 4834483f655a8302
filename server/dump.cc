// SPDX-License-Identifier: Apache-2.0
#include "server/dump.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "server/recovery.h"
#include "store/utf8.h"

namespace csnap {
namespace {

constexpr std::size_t kWriteBytes = 256u << 10;

DumpHeader header_of(const StoreState& state, Sequence last) {
  const Superblock& s = state.superblock();
  DumpHeader h;
  h.uuid = s.uuid;
  // Bytes that are no text could not be written as JSON.
  h.label = is_plain_utf8(s.label) ? s.label : std::string(s.label.size(), '?');
  h.epoch = s.epoch;
  h.sequence = last;
  h.next_snapshot = s.next_snapshot;
  h.replication = state.replication();
  h.chunk_size = s.chunk_size();
  h.origin_size = s.origin_size;
  h.store_size = s.data.blocks * kBlockSize;
  h.data_reserved = s.data.reserved;
  h.data_bitmap = s.data.bitmap.value;
  if (s.separate_metadata) {
    h.metadata_size = s.metadata.blocks * kBlockSize;
    h.metadata_reserved = s.metadata.reserved;
    h.metadata_bitmap = s.metadata.bitmap.value;
  }
  h.snapshots = s.snapshots.value;
  h.snapshot_blocks = s.snapshot_blocks;
  h.clients = s.clients.value;
  h.client_blocks = s.client_blocks;
  h.checksums = s.checksums.value;
  h.checksum_blocks = s.checksum_blocks;
  h.journal = s.journal.value;
  h.journal_blocks = s.journal_blocks;
  return h;
}

// Does `next` go on where `run` ends, for the same snapshots at neighbouring places?
bool continues(const Mapping& run, const Mapping& next) {
  if (next.chunks.start != run.chunks.end() || next.count != run.count) return false;
  for (unsigned i = 0; i < run.count; ++i)
    if (next.exceptions[i].mask != run.exceptions[i].mask ||
        next.exceptions[i].store != run.exceptions[i].store + run.chunks.count)
      return false;
  return true;
}

class Dump {
 public:
  Dump(StoreState& state, const DumpSink& sink) : state_(state), sink_(sink) {}

  Result<DumpTotals> write(Sequence last) {
    text_ += dump_line(header_of(state_, last));
    for (const Snapshot& snapshot : std::as_const(state_).snapshots().all()) {
      text_ += dump_line(snapshot);
      ++totals_.snapshots;
    }
    for (const ClientEntry& session : std::as_const(state_).clients().all()) {
      text_ += dump_line(session);
      ++totals_.sessions;
    }
    CSNAP_TRY(write_exceptions());
    text_ += dump_line(totals_);
    CSNAP_TRY(sink_(text_));
    return totals_;
  }

 private:
  Status write_exceptions() {
    Mapping run;  // what was found and not written; no chunks: nothing
    for (Chunk at(0); at.value < kMaxChunks;) {
      std::optional<Mapping> found;
      CSNAP_TRY(state_.with_blocks([&]() -> Status {
        CSNAP_ASSIGN(found, state_.tree().next_mapping(at));
        return {};
      }));
      if (!found) break;
      at = found->chunks.end();
      if (run.chunks.count > 0 && continues(run, *found)) {
        run.chunks.count += found->chunks.count;
      } else {
        CSNAP_TRY(write_run(run, 1));
        run = *found;
      }
      // Cut from where the run began: leaves cut it wherever they please.
      CSNAP_TRY(write_run(run, kMaxDumpRun));
    }
    return write_run(run, 1);
  }

  // Writes pieces off the front, as long as it has at_least chunks.
  Status write_run(Mapping& run, std::uint64_t at_least) {
    while (run.chunks.count >= at_least) {
      const std::uint64_t count = std::min(run.chunks.count, kMaxDumpRun);
      for (unsigned i = 0; i < run.count; ++i) {
        CSNAP_TRY(write_exception({run.chunks.start, count}, run.exceptions[i]));
        run.exceptions[i].store += count;
      }
      run.chunks = {run.chunks.start + count, run.chunks.count - count};
      if (run.chunks.count == 0) break;
    }
    state_.cache().trim();
    if (text_.size() < kWriteBytes) return {};
    CSNAP_TRY(sink_(text_));
    text_.clear();
    return {};
  }

  Status write_exception(ChunkRun chunks, const Exception& exception) {
    line_.chunks = chunks;
    line_.store = exception.store;
    line_.mask = exception.mask;
    line_.crcs.clear();
    for (std::uint64_t i = 0; !line_.lost() && i < chunks.count; ++i)
      CSNAP_TRY(state_.with_blocks([&]() -> Status {
        CSNAP_ASSIGN(const std::uint32_t crc, state_.checksums().get(exception.store + i));
        line_.crcs.push_back(crc);
        return {};
      }));
    append_dump_line(line_, text_);
    ++totals_.exceptions;
    (line_.lost() ? totals_.lost_chunks : totals_.chunks) += chunks.count;
    return {};
  }

  StoreState& state_;
  const DumpSink& sink_;
  std::string text_;
  DumpException line_;
  DumpTotals totals_;
};

}  // namespace

Result<DumpTotals> dump_store(Device& store, Device* metadata, const DumpOptions& options,
                              const DumpSink& sink) {
  CSNAP_ASSIGN(auto recovered,
               recover_to_read(store, metadata, options.has_data, options.cache_bytes));
  return Dump(*recovered.state, sink).write(recovered.head.sequence - 1);
}

}  // namespace csnap
