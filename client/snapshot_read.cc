// SPDX-License-Identifier: Apache-2.0
// Reading a snapshot. Chunks that have a checksum are read whole and compared before anything of
// them is delivered. One that differs was rewritten since we were told its checksum, or is damaged:
// the server is asked again, and a checksum that it repeats is the truth.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "client/io_batch.h"
#include "client/snapshot_io.h"
#include "store/crc.h"

namespace csnap {

SnapshotIo::SnapshotIo(const VolumeParts& parts)
    : VolumeIo(parts, std::max(parts.origin->alignment(), parts.store->alignment())),
      origin_(*parts.origin),
      store_(*parts.store),
      flusher_(store_) {}

// Where the chunks lie, if all of them are known; neighbours merged.
bool SnapshotIo::remembered(ChunkRun run, std::vector<ReadSource>& sources) const {
  for (Chunk c = run.start; c < run.end(); ++c) {
    const auto place = state_.places.find(c);
    if (!place) return false;
    if (sources.empty() || sources.back().store + sources.back().chunks.count != place->store)
      sources.push_back({{c, 0}, false, place->store, true, place->rewritable, {}});
    ReadSource& last = sources.back();
    ++last.chunks.count;
    if (place->crc == 0 && last.crcs.empty()) continue;
    last.crcs.resize(last.chunks.count);
    last.crcs.back() = place->crc;
  }
  return true;
}

namespace {

// A piece of a read: bytes of neighbouring chunks, in one transfer.
struct Piece {
  const ReadSource* source = nullptr;
  Chunk first;                   // of the chunks it reads
  std::span<std::byte> into;     // where the bytes asked for belong
  std::span<std::byte> read_to;  // the same, or `whole`
  std::uint64_t from = 0;        // bytes from the start of the first chunk
  BounceBuffer whole;            // of a chunk of which only a part is asked for
};

std::uint64_t device_chunk(const Piece& piece) {
  const ReadSource& s = *piece.source;
  return s.on_origin ? piece.first.value : s.store.value + (piece.first - s.chunks.start);
}

// As they lie on each device.
void sort_by_place(std::vector<Piece>& pieces) {
  std::ranges::sort(pieces, {},
                    [](const Piece& piece) { return std::pair(device_chunk(piece), piece.from); });
}

std::uint32_t checksum_of(const ReadSource& source, Chunk c) {
  return source.crcs.empty() ? 0 : source.crcs[c - source.chunks.start];
}

// Cuts [start, start + into.size()) of the source so that chunks with a checksum are read whole.
void cut(const ReadSource& source, std::uint64_t chunk_size, std::uint64_t start,
         std::span<std::byte> into, std::vector<Piece>& pieces) {
  const std::uint64_t end = start + into.size();
  bool joins = false;  // the piece before, which is no part of a chunk
  const Chunk first(start / chunk_size);
  for (Chunk c = first; c.value * chunk_size < end; ++c) {
    const std::uint64_t from = std::max(start, c.value * chunk_size);
    const std::uint64_t to = std::min(end, (c.value + 1) * chunk_size);
    const auto part = into.subspan(from - start, to - from);
    if (part.size() < chunk_size && checksum_of(source, c) != 0) {
      Piece piece{&source, c, part, {}, from - c.value * chunk_size, BounceBuffer(chunk_size)};
      piece.read_to = piece.whole.first(chunk_size);
      pieces.push_back(std::move(piece));
      joins = false;
    } else if (joins) {
      Piece& last = pieces.back();
      last.into = last.read_to = {last.into.data(), last.into.size() + part.size()};
    } else {
      pieces.push_back({&source, c, part, part, from - c.value * chunk_size, {}});
      joins = true;
    }
  }
}

// The first chunk of the piece whose data is not what its checksum says.
std::optional<Chunk> find_mismatch(const Piece& piece, std::uint64_t chunk_size) {
  const bool whole = piece.read_to.data() != piece.into.data();
  if (piece.source->crcs.empty()) return std::nullopt;
  Chunk c = piece.first;
  // A part in front has no checksum, or it would have been read whole.
  std::size_t at = !whole && piece.from != 0 ? chunk_size - piece.from : 0;
  if (at != 0) ++c;
  for (; at + chunk_size <= piece.read_to.size(); at += chunk_size, ++c) {
    const std::uint32_t expected = checksum_of(*piece.source, c);
    if (expected != 0 && stored_checksum(crc32c(piece.read_to.subspan(at, chunk_size))) != expected)
      return c;
  }
  return std::nullopt;
}

}  // namespace

// ok, and what was not as its checksum says; or the failure of a device.
// REQUIRES: both in order, and the sources cover the parts.
Result<std::optional<SnapshotIo::Mismatch>> SnapshotIo::read_sources(
    const std::vector<ReadSource>& sources, std::span<const ReadPart> parts) {
  std::vector<Piece> pieces;
  auto part = parts.begin();
  for (const ReadSource& s : sources) {
    const std::uint64_t source_end = start_of(s.chunks.end());
    while (part != parts.end() && part->offset < source_end) {
      const std::uint64_t end = part->offset + part->data.size();
      const std::uint64_t from = std::max(part->offset, start_of(s.chunks.start));
      const std::uint64_t to = std::min(end, source_end);
      cut(s, info_.chunk_size, from, part->data.subspan(from - part->offset, to - from), pieces);
      if (end > source_end) break;  // the rest is in the next source
      ++part;
    }
  }
  if (parts.size() > 1) sort_by_place(pieces);
  std::optional<IoBatch> origin, store;
  for (const Piece& piece : pieces) {
    const ReadSource& s = *piece.source;
    auto& batch = s.on_origin ? origin : store;
    if (!batch) {
      CSNAP_ASSIGN(auto queue, (s.on_origin ? origin_ : store_).take());
      batch.emplace(std::move(queue));
    }
    const std::uint64_t chunk = device_chunk(piece);
    const bool whole = piece.read_to.data() != piece.into.data();
    batch->read(chunk * info_.chunk_size + (whole ? 0 : piece.from), piece.read_to);
  }
  if (origin) origin->kick();
  Status status = store ? store->wait() : Status();
  if (origin) {
    Status of_origin = origin->wait();
    if (status.ok()) status = std::move(of_origin);
  }
  CSNAP_TRY(std::move(status));
  for (const Piece& piece : pieces) {
    const ReadSource& s = *piece.source;
    if (const auto c = find_mismatch(piece, info_.chunk_size))
      return std::optional(Mismatch{*c, s.store + (*c - s.chunks.start), checksum_of(s, *c)});
    if (piece.read_to.data() != piece.into.data())
      std::memcpy(piece.into.data(), piece.read_to.data() + piece.from, piece.into.size());
  }
  return std::optional<Mismatch>();
}

// false: not all of it is remembered, or not as it is now, or it may not be delivered.
Result<bool> SnapshotIo::read_remembered(std::uint64_t start, std::span<std::byte> into) {
  const Gate::Pass pass = state_.reads.enter(start, into.size());
  if (!pass) return state_.gone();
  const std::uint64_t generation = state_.read_generation();
  std::vector<ReadSource> sources;
  if (!remembered(chunks_of(start, into.size()), sources)) return false;
  const ReadPart part{start, into};
  CSNAP_ASSIGN(const auto mismatch, read_sources(sources, {&part, 1}));
  return !mismatch && state_.may_deliver(generation);
}

// false: what was read may not be delivered, or is not what `mismatch` says it should be.
Result<bool> SnapshotIo::read_asked(std::span<const ReadPart> parts,
                                    std::optional<Mismatch>& mismatch) {
  std::vector<ChunkRun> ranges;
  for (const ReadPart& part : parts) ranges.push_back(chunks_of(part.offset, part.data.size()));
  CSNAP_ASSIGN(const ReadMapping mapping, session_.snapshot_read(join_runs(ranges)));
  const auto read = read_sources(mapping.sources, parts);
  const bool deliver = state_.may_deliver(mapping.generation);
  session_.finish_read(mapping.handle);
  if (!read.ok()) return read.status();
  if (!deliver) return false;
  if (!*read) return true;
  const Mismatch found = **read;
  if (mismatch != found) {
    mismatch = found;
    return false;
  }
  return Status(Code::corrupt, "chunk " + std::to_string(found.chunk.value) + " of " +
                                   info_.volume_name + ": its data, chunk " +
                                   std::to_string(found.store.value) +
                                   " of the store, does not have the checksum that it was written "
                                   "with; run csnap-check --data on the store");
}

Status SnapshotIo::read_batch(std::span<const ReadPart> parts) {
  std::optional<Mismatch> mismatch;
  for (bool delivered = false; !delivered;) {
    CSNAP_TRY(state_.wait_lease());
    CSNAP_ASSIGN(delivered, read_asked(parts, mismatch));
  }
  return {};
}

Status SnapshotIo::read_parts(std::span<const ReadPart> parts) {
  while (!parts.empty()) {
    const std::size_t n = batch_of(parts);
    if (n == 0)
      CSNAP_TRY(read(parts.front().offset, parts.front().data));
    else
      CSNAP_TRY(read_batch(parts.first(n)));
    parts = parts.subspan(std::max<std::size_t>(n, 1));
  }
  return {};
}

Status SnapshotIo::read_window(std::uint64_t offset, std::span<std::byte> data) {
  const std::uint64_t start = align_down(offset);
  const auto length = static_cast<std::size_t>(align_up(offset + data.size()) - start);
  const bool direct = start == offset && length == data.size() && aligned(data.data());
  BounceBuffer buffer;
  if (!direct) buffer = BounceBuffer(length);
  const std::span<std::byte> into = direct ? data : buffer.first(length);
  std::optional<Mismatch> mismatch;
  for (bool delivered = false; !delivered;) {
    CSNAP_TRY(state_.wait_lease());
    CSNAP_ASSIGN(delivered, read_remembered(start, into));
    if (!delivered) {
      const ReadPart part{start, into};
      CSNAP_ASSIGN(delivered, read_asked({&part, 1}, mismatch));
    }
  }
  if (!direct) std::memcpy(data.data(), into.data() + (offset - start), data.size());
  return {};
}

}  // namespace csnap
