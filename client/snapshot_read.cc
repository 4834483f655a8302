// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "client/io_batch.h"
#include "client/snapshot_io.h"

namespace csnap {

SnapshotIo::SnapshotIo(const VolumeParts& parts)
    : VolumeIo(parts, std::max(parts.origin->alignment(), parts.store->alignment())),
      origin_(*parts.origin),
      store_(*parts.store),
      flusher_(store_) {}

// Where the range lies on the store device, if all of it is known; neighbours merged.
bool SnapshotIo::remembered(std::uint64_t start, std::size_t length, bool rewritable,
                            std::vector<Span>& spans) const {
  const std::uint64_t end = start + length;
  const ChunkRun run = chunks_of(start, length);
  for (Chunk c = run.start; c < run.end(); ++c) {
    const auto place = state_.places.find(c);
    if (!place || (rewritable && !place->rewritable)) return false;
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

// false: not all of it is remembered, or it may not be delivered.
Result<bool> SnapshotIo::read_remembered(std::uint64_t start, std::span<std::byte> into) {
  const Gate::Pass pass = state_.reads.enter(start, into.size());
  if (!pass) return state_.gone();
  const std::uint64_t generation = state_.read_generation();
  std::vector<Span> spans;
  if (!remembered(start, into.size(), false, spans)) return false;
  CSNAP_ASSIGN(auto queue, store_.take());
  IoBatch batch(std::move(queue));
  for (const Span& s : spans) batch.read(s.offset, into.subspan(s.from - start, s.length));
  CSNAP_TRY(batch.wait());
  return state_.may_deliver(generation);
}

Status SnapshotIo::read_sources(const ReadMapping& mapping, std::uint64_t start,
                                std::span<std::byte> into) {
  std::optional<IoBatch> origin, store;
  const std::uint64_t end = start + into.size();
  for (const ReadSource& s : mapping.sources) {
    const std::uint64_t from = std::max(start, start_of(s.chunks.start));
    const std::uint64_t to = std::min(end, start_of(s.chunks.end()));
    auto& batch = s.on_origin ? origin : store;
    if (!batch) {
      CSNAP_ASSIGN(auto queue, (s.on_origin ? origin_ : store_).take());
      batch.emplace(std::move(queue));
    }
    const std::uint64_t device_offset =
        s.on_origin ? from : s.store.value * info_.chunk_size + (from - start_of(s.chunks.start));
    batch->read(device_offset, into.subspan(from - start, to - from));
  }
  if (origin) origin->kick();
  Status status = store ? store->wait() : Status();
  if (origin) {
    Status of_origin = origin->wait();
    if (status.ok()) status = std::move(of_origin);
  }
  return status;
}

// false: what was read may not be delivered.
Result<bool> SnapshotIo::read_asked(std::uint64_t start, std::span<std::byte> into) {
  CSNAP_ASSIGN(const ReadMapping mapping, session_.snapshot_read({chunks_of(start, into.size())}));
  Status status = read_sources(mapping, start, into);
  const bool deliver = state_.may_deliver(mapping.generation);
  session_.finish_read(mapping.handle);
  if (!status.ok()) return status;
  return deliver;
}

Status SnapshotIo::read_window(std::uint64_t offset, std::span<std::byte> data) {
  const std::uint64_t start = align_down(offset);
  const auto length = static_cast<std::size_t>(align_up(offset + data.size()) - start);
  const bool direct = start == offset && length == data.size() && aligned(data.data());
  BounceBuffer buffer;
  if (!direct) buffer = BounceBuffer(length);
  const std::span<std::byte> into = direct ? data : buffer.first(length);
  for (bool delivered = false; !delivered;) {
    CSNAP_TRY(state_.wait_lease());
    CSNAP_ASSIGN(delivered, read_remembered(start, into));
    if (!delivered) {
      CSNAP_ASSIGN(delivered, read_asked(start, into));
    }
  }
  if (!direct) std::memcpy(data.data(), into.data() + (offset - start), data.size());
  return {};
}

}  // namespace csnap
