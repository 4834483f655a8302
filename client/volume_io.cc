// SPDX-License-Identifier: Apache-2.0
#include "client/volume_io.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace csnap {

namespace {

constexpr std::uint64_t kLargestWindow = 1u << Gate::kStripeShift;
static_assert(kLargestWindow == 1u << kMaxChunkShift, "a window holds whole chunks");

alignas(4096) const std::byte kZeros[kLargestWindow] = {};

}  // namespace

VolumeIo::VolumeIo(const VolumeParts& parts, std::uint32_t alignment)
    : info_(parts.info),
      state_(parts.state),
      session_(parts.session),
      alignment_(alignment),
      window_(std::bit_floor(
          std::min(kLargestWindow, parts.info.max_request_chunks * parts.info.chunk_size))) {}

std::size_t VolumeIo::window_at(std::uint64_t offset, std::uint64_t length) const {
  return static_cast<std::size_t>(std::min(length, window_ - offset % window_));
}

Status VolumeIo::read(std::uint64_t offset, std::span<std::byte> data) {
  while (!data.empty()) {
    const std::size_t length = window_at(offset, data.size());
    CSNAP_TRY(read_window(offset, data.first(length)));
    data = data.subspan(length);
    offset += length;
  }
  return {};
}

Status VolumeIo::write(std::uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const std::size_t length = window_at(offset, data.size());
    CSNAP_TRY(write_window(offset, data.first(length)));
    data = data.subspan(length);
    offset += length;
  }
  return {};
}

Status VolumeIo::read_parts(std::span<const ReadPart> parts) {
  for (const ReadPart& part : parts) CSNAP_TRY(read(part.offset, part.data));
  return {};
}

Status VolumeIo::write_parts(std::span<const WritePart> parts) {
  for (const WritePart& part : parts) CSNAP_TRY(write(part.offset, part.data));
  return {};
}

Status VolumeIo::zero(std::uint64_t offset, std::uint64_t length) {
  while (length > 0) {
    // Up to a sector's boundary first: from there on the zeros are aligned as the device wants.
    const std::uint64_t to_boundary = align_up(offset) - offset;
    const std::size_t now =
        window_at(offset, to_boundary == 0 ? length : std::min(length, to_boundary));
    CSNAP_TRY(write_window(offset, std::span(kZeros).first(now)));
    length -= now;
    offset += now;
  }
  return {};
}

ChunkRun VolumeIo::chunks_of(std::uint64_t offset, std::uint64_t length) const {
  const std::uint64_t first = offset / info_.chunk_size;
  const std::uint64_t last = (offset + length - 1) / info_.chunk_size;
  return {Chunk(first), last - first + 1};
}

std::vector<ChunkRun> VolumeIo::join_runs(const std::vector<ChunkRun>& runs) {
  std::vector<ChunkRun> joined;
  for (const ChunkRun& run : runs) {
    if (joined.empty() || joined.back().end() < run.start) {
      joined.push_back(run);
    } else {
      ChunkRun& last = joined.back();
      last.count = std::max(last.end(), run.end()) - last.start;
    }
  }
  return joined;
}

VolumeIo::Parts VolumeIo::split(std::uint64_t offset, std::size_t length) const {
  Parts parts;
  parts.offset = offset;
  const std::uint64_t end = offset + length;
  if (align_up(offset) > align_down(end)) {  // inside one sector
    parts.head = length;
    return parts;
  }
  parts.head = static_cast<std::size_t>(align_up(offset) - offset);
  parts.tail = static_cast<std::size_t>(end - align_down(end));
  parts.middle = length - parts.head - parts.tail;
  return parts;
}

std::span<const std::byte> VolumeIo::aligned_source(std::span<const std::byte> data,
                                                    BounceBuffer& buffer) const {
  if (data.empty() || aligned(data.data())) return data;
  buffer = BounceBuffer(data.size());
  std::memcpy(buffer.data(), data.data(), data.size());
  return buffer.first(data.size());
}

}  // namespace csnap
