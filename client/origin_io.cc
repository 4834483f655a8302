// SPDX-License-Identifier: Apache-2.0
#include "client/origin_io.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "client/io_batch.h"

namespace csnap {

OriginIo::OriginIo(const VolumeParts& parts)
    : VolumeIo(parts, parts.origin->alignment()), device_(*parts.origin), flusher_(device_) {}

Status OriginIo::device_read(std::uint64_t offset, std::span<std::byte> data) {
  CSNAP_ASSIGN(auto queue, device_.take());
  IoBatch batch(std::move(queue));
  batch.read(offset, data);
  return batch.wait();
}

Status OriginIo::device_write(std::uint64_t offset, std::span<const std::byte> data) {
  CSNAP_ASSIGN(auto queue, device_.take());
  IoBatch batch(std::move(queue));
  batch.write(offset, data);
  Status status = batch.wait();
  flusher_.wrote();  // also after a failure: parts may have been written
  return status;
}

Status OriginIo::read_window(std::uint64_t offset, std::span<std::byte> data) {
  const std::uint64_t start = align_down(offset);
  const auto length = static_cast<std::size_t>(align_up(offset + data.size()) - start);
  if (start == offset && length == data.size() && aligned(data.data()))
    return device_read(offset, data);
  BounceBuffer buffer(length);
  CSNAP_TRY(device_read(start, buffer.first(length)));
  std::memcpy(data.data(), buffer.data() + (offset - start), data.size());
  return {};
}

Status OriginIo::ask_for_missing(ChunkRun run) {
  std::vector<ChunkRun> missing;
  state_.unique->append_missing(run, missing);
  return missing.empty() ? Status() : session_.unique(std::move(missing));
}

// Runs io() while the chunks of the range are unique and a barrier waits for us.
template <class F>
Status OriginIo::when_unique(std::uint64_t offset, std::size_t length, bool alone, F io) {
  const ChunkRun run = chunks_of(offset, length);
  for (;;) {
    CSNAP_TRY(state_.wait_lease());
    {
      const Gate::Pass pass =
          alone ? state_.writes.enter_alone(offset, length) : state_.writes.enter(offset, length);
      if (!pass) return state_.gone();
      if (!state_.lease_valid()) continue;
      if (state_.unique->all(run)) return io();
    }
    CSNAP_TRY(ask_for_missing(run));
  }
}

// Part of one sector: the rest of it must not change meanwhile.
Status OriginIo::write_sector(std::uint64_t offset, std::span<const std::byte> data) {
  return when_unique(offset, data.size(), true, [&]() -> Status {
    BounceBuffer sector(alignment());
    const std::uint64_t start = align_down(offset);
    CSNAP_TRY(device_read(start, sector.first(alignment())));
    std::memcpy(sector.data() + (offset - start), data.data(), data.size());
    return device_write(start, sector.first(alignment()));
  });
}

// One pass covers all parts: who waited for a second one while holding the first would keep a
// barrier waiting.
Status OriginIo::write_batch(std::span<const WritePart> parts) {
  const WritePart& last = parts.back();
  const std::uint64_t length = last.offset + last.data.size() - parts.front().offset;
  for (;;) {
    CSNAP_TRY(state_.wait_lease());
    std::vector<ChunkRun> missing;
    {
      const Gate::Pass pass = state_.writes.enter(parts.front().offset, length);
      if (!pass) return state_.gone();
      if (!state_.lease_valid()) continue;
      for (const WritePart& part : parts)
        state_.unique->append_missing(chunks_of(part.offset, part.data.size()), missing);
      if (missing.empty()) {
        CSNAP_ASSIGN(auto queue, device_.take());
        IoBatch batch(std::move(queue));
        for (const WritePart& part : parts) batch.write(part.offset, part.data);
        Status status = batch.wait();
        flusher_.wrote();
        return status;
      }
    }
    CSNAP_TRY(session_.unique(join_runs(missing)));
  }
}

Status OriginIo::write_parts(std::span<const WritePart> parts) {
  while (!parts.empty()) {
    const std::size_t n = batch_of(parts);
    if (n == 0)
      CSNAP_TRY(write(parts.front().offset, parts.front().data));
    else
      CSNAP_TRY(write_batch(parts.first(n)));
    parts = parts.subspan(std::max<std::size_t>(n, 1));
  }
  return {};
}

Status OriginIo::write_window(std::uint64_t offset, std::span<const std::byte> data) {
  CSNAP_TRY(state_.wait_lease());
  CSNAP_TRY(ask_for_missing(chunks_of(offset, data.size())));  // for all parts at once
  const Parts parts = split(offset, data.size());
  if (parts.head > 0) CSNAP_TRY(write_sector(offset, data.first(parts.head)));
  if (parts.middle > 0) {
    BounceBuffer buffer;
    const auto middle = aligned_source(data.subspan(parts.head, parts.middle), buffer);
    CSNAP_TRY(when_unique(parts.middle_offset(), parts.middle, false,
                          [&] { return device_write(parts.middle_offset(), middle); }));
  }
  if (parts.tail > 0) CSNAP_TRY(write_sector(parts.tail_offset(), data.last(parts.tail)));
  return {};
}

}  // namespace csnap
