// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "client/io_batch.h"
#include "client/snapshot_io.h"
#include "store/crc.h"

namespace csnap {

namespace {

void append(std::vector<ChunkRun>& runs, Chunk c) {
  if (!runs.empty() && runs.back().end() == c)
    ++runs.back().count;
  else
    runs.push_back({c, 1});
}

}  // namespace

Status SnapshotIo::write_window(std::uint64_t offset, std::span<const std::byte> data) {
  Write write;
  write.chunks = chunks_of(offset, data.size());
  write.parts = split(offset, data.size());
  write.data = data;
  BounceBuffer buffer;
  write.middle = aligned_source(data.subspan(write.parts.head, write.parts.middle), buffer);
  write.done.assign(write.chunks.count, false);
  for (;;) {
    CSNAP_TRY(state_.wait_lease());
    if (!places_known(write)) {
      CSNAP_TRY(get_places(write));
      continue;
    }
    CSNAP_ASSIGN(const bool written, write_in_place(write));
    if (written) return {};
  }
}

bool SnapshotIo::places_known(const Write& write) const {
  for (std::uint64_t i = 0; i < write.chunks.count; ++i) {
    if (write.done[i]) continue;
    const auto place = state_.places.find(write.chunks.start + i);
    if (!place || !place->rewritable) return false;
  }
  return true;
}

// Every byte of the chunk is written, with no sector of it left to be read first. The volume's last
// chunk does not count when it is shorter than the others: the place has bytes that are not ours.
bool SnapshotIo::covers_whole(const Write& write, Chunk c) const {
  const std::uint64_t from = write.parts.middle_offset();
  return start_of(c) >= from && start_of(c + 1) <= from + write.parts.middle &&
         start_of(c + 1) <= info_.size;
}

// Where the range lies on the store device, if all of it may be rewritten; neighbours merged.
bool SnapshotIo::rewritable_spans(std::uint64_t start, std::size_t length,
                                  std::vector<Span>& spans) const {
  const std::uint64_t end = start + length;
  const ChunkRun run = chunks_of(start, length);
  for (Chunk c = run.start; c < run.end(); ++c) {
    const auto place = state_.places.find(c);
    if (!place || !place->rewritable) return false;
    const std::uint64_t from = std::max(start, start_of(c));
    const auto bytes = static_cast<std::size_t>(std::min(end, start_of(c + 1)) - from);
    const std::uint64_t offset = place->store.value * info_.chunk_size + (from - start_of(c));
    if (!spans.empty() && spans.back().offset + spans.back().length == offset)
      spans.back().length += bytes;
    else
      spans.push_back({offset, from, bytes});
  }
  return true;
}

// Makes the chunks of the write that have no place of their own rewritable, or writes them.
Status SnapshotIo::get_places(Write& write) {
  const ChunkLocks::Hold hold(first_writes_, write.chunks);
  std::vector<ChunkRun> whole, partial;
  auto kind = Mapper::WriteKind::overwrite;
  for (std::uint64_t i = 0; i < write.chunks.count; ++i) {
    const Chunk c = write.chunks.start + i;
    const auto place = state_.places.find(c);
    if (write.done[i] || (place && place->rewritable)) continue;
    append(covers_whole(write, c) ? whole : partial, c);
    if (place) kind = Mapper::WriteKind::rewrite;
  }
  if (!partial.empty()) CSNAP_TRY(get_rewritable(partial));
  if (!whole.empty()) CSNAP_TRY(write_provisional(write, whole, kind));
  return {};
}

Status SnapshotIo::get_rewritable(const std::vector<ChunkRun>& chunks) {
  CSNAP_ASSIGN(const WriteMapping mapping,
               session_.snapshot_write(chunks, Mapper::WriteKind::partial));
  if (mapping.handle == 0) return {};
  session_.abandon_write(mapping.handle);
  return Status(Code::corrupt, "the server gave a provisional place for a part of a chunk");
}

Status SnapshotIo::write_provisional(Write& write, const std::vector<ChunkRun>& chunks,
                                     Mapper::WriteKind kind) {
  CSNAP_ASSIGN(const WriteMapping mapping, session_.snapshot_write(chunks, kind));
  if (mapping.handle == 0) return {};  // they are rewritable
  if (!state_.may_write(mapping.generation)) {
    session_.abandon_write(mapping.handle);
    return {};
  }
  auto runs = write_targets(write, mapping);
  if (!runs.ok()) {
    session_.abandon_write(mapping.handle);
    return runs.status();
  }
  Status status = session_.finish_write(mapping.handle, std::move(runs).value());
  if (status.code() == Code::stale) return state_.gone();  // else from the start
  CSNAP_TRY(std::move(status));
  for (const WriteTarget& t : mapping.targets) {
    if (!t.provisional) continue;
    for (std::uint64_t i = 0; i < t.chunks.count; ++i)
      write.done[t.chunks.start + i - write.chunks.start] = true;
  }
  return {};
}

std::span<const std::byte> SnapshotIo::source(const Write& write, ChunkRun chunks) const {
  return write.middle.subspan(start_of(chunks.start) - write.parts.middle_offset(),
                              chunks.count * info_.chunk_size);
}

// Writes the data of the provisional targets.
Result<std::vector<FinishedRun>> SnapshotIo::write_targets(const Write& write,
                                                           const WriteMapping& mapping) {
  std::vector<FinishedRun> runs;
  CSNAP_ASSIGN(auto queue, store_.take());
  IoBatch batch(std::move(queue));
  for (const WriteTarget& t : mapping.targets) {
    if (!t.provisional) continue;
    const auto data = source(write, t.chunks);
    batch.write(t.store.value * info_.chunk_size, data);
    FinishedRun run{t.chunks, t.store, {}};
    for (std::uint64_t i = 0; i < t.chunks.count; ++i)
      run.crcs.push_back(crc32c(data.subspan(i * info_.chunk_size, info_.chunk_size)));
    runs.push_back(std::move(run));
  }
  Status status = batch.wait();
  flusher_.wrote();
  // The server makes the places the snapshot's, durably. Its flush reaches the data where that is
  // one device or file for both; elsewhere the data goes first.
  if (status.ok() && !store_.direct()) status = flusher_.flush();
  if (!status.ok()) return status;
  return runs;
}

// What is not done yet, to places known to be rewritable. false: they are no longer known.
Result<bool> SnapshotIo::write_in_place(const Write& write) {
  for (std::uint64_t i = 0; i < write.chunks.count;) {
    if (write.done[i]) {
      ++i;
      continue;
    }
    std::uint64_t end = i;
    while (end < write.chunks.count && !write.done[end]) ++end;
    const std::uint64_t from = std::max(write.parts.offset, start_of(write.chunks.start + i));
    const std::uint64_t to = std::min(write.end(), start_of(write.chunks.start + end));
    CSNAP_ASSIGN(const bool written, write_run(write, from, to));
    if (!written) return false;
    i = end;
  }
  return true;
}

Result<bool> SnapshotIo::write_run(const Write& write, std::uint64_t from, std::uint64_t to) {
  const auto data = [&](std::uint64_t offset, std::size_t length) {
    return write.data.subspan(offset - write.parts.offset, length);
  };
  const Parts parts = split(from, to - from);
  if (parts.head > 0) {
    CSNAP_ASSIGN(const bool written, write_sector(from, data(from, parts.head)));
    if (!written) return false;
  }
  if (parts.middle > 0) {
    const auto middle =
        write.middle.subspan(parts.middle_offset() - write.parts.middle_offset(), parts.middle);
    const auto io = [&](const std::vector<Span>& spans) -> Status {
      CSNAP_ASSIGN(auto queue, store_.take());
      IoBatch batch(std::move(queue));
      for (const Span& s : spans)
        batch.write(s.offset, middle.subspan(s.from - parts.middle_offset(), s.length));
      Status status = batch.wait();
      flusher_.wrote();
      return status;
    };
    CSNAP_ASSIGN(const bool written,
                 when_rewritable(parts.middle_offset(), parts.middle, false, io));
    if (!written) return false;
  }
  if (parts.tail == 0) return true;
  return write_sector(parts.tail_offset(), data(parts.tail_offset(), parts.tail));
}

// Runs io(where the range lies) while the places are known to be rewritable and an eviction waits
// for us. false: they are not known, or the lease is not valid.
template <class F>
Result<bool> SnapshotIo::when_rewritable(std::uint64_t offset, std::size_t length, bool alone,
                                         F io) {
  const Gate::Pass pass =
      alone ? state_.writes.enter_alone(offset, length) : state_.writes.enter(offset, length);
  if (!pass) return state_.gone();
  std::vector<Span> spans;
  if (!state_.lease_valid() || !rewritable_spans(offset, length, spans)) return false;
  CSNAP_TRY(io(spans));
  return true;
}

// Part of one sector: the rest of it must not change meanwhile.
Result<bool> SnapshotIo::write_sector(std::uint64_t offset, std::span<const std::byte> data) {
  const std::uint64_t within = offset - align_down(offset);
  return when_rewritable(offset, data.size(), true, [&](const std::vector<Span>& spans) -> Status {
    assert(spans.size() == 1);
    const std::uint64_t start = spans.front().offset - within;
    BounceBuffer sector(alignment());
    CSNAP_ASSIGN(auto queue, store_.take());
    IoBatch batch(std::move(queue));
    batch.read(start, sector.first(alignment()));
    CSNAP_TRY(batch.wait());
    std::memcpy(sector.data() + within, data.data(), data.size());
    batch.write(start, sector.first(alignment()));
    Status status = batch.wait();
    flusher_.wrote();
    return status;
  });
}

}  // namespace csnap
