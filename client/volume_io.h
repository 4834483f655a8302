// SPDX-License-Identifier: Apache-2.0
// I/O on one volume, in windows: pieces of a request that lie within one stripe of the gate and
// hold whole chunks where the request does. OriginIo and SnapshotIo know how a window is read and
// written; what is common to both is here.
//
// Threading: any thread; blocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "client/bounce_buffer.h"
#include "client/io_parts.h"
#include "client/queue_pool.h"
#include "client/session.h"
#include "client/volume_state.h"

namespace csnap {

struct VolumeParts {
  const SessionInfo& info;
  VolumeState& state;
  VolumeSession& session;
  QueuePool* origin;  // null: not needed by this volume
  QueuePool* store;
};

class VolumeIo {
 public:
  virtual ~VolumeIo() = default;
  VolumeIo(const VolumeIo&) = delete;
  VolumeIo& operator=(const VolumeIo&) = delete;

  // REQUIRES: the range lies within the volume.
  Status read(std::uint64_t offset, std::span<std::byte> data);
  Status write(std::uint64_t offset, std::span<const std::byte> data);
  Status zero(std::uint64_t offset, std::uint64_t length);
  // REQUIRES: also in order and apart from each other.
  virtual Status read_parts(std::span<const ReadPart> parts);
  virtual Status write_parts(std::span<const WritePart> parts);
  virtual Status flush() = 0;
  std::uint32_t alignment() const { return alignment_; }

 protected:
  // A request cut at the sectors: head and tail need a read before the write, the middle does not.
  struct Parts {
    std::uint64_t offset = 0;
    std::size_t head = 0;  // bytes
    std::size_t middle = 0;
    std::size_t tail = 0;
    std::uint64_t middle_offset() const { return offset + head; }
    std::uint64_t tail_offset() const { return offset + head + middle; }
  };

  VolumeIo(const VolumeParts& parts, std::uint32_t alignment);

  virtual Status read_window(std::uint64_t offset, std::span<std::byte> data) = 0;
  virtual Status write_window(std::uint64_t offset, std::span<const std::byte> data) = 0;

  ChunkRun chunks_of(std::uint64_t offset, std::uint64_t length) const;
  std::uint64_t start_of(Chunk c) const { return c.value * info_.chunk_size; }
  // Of the volume; its last chunk may be shorter than the others.
  std::uint64_t end_of(Chunk c) const { return std::min(info_.size, start_of(c + 1)); }
  std::uint64_t align_down(std::uint64_t n) const { return n / alignment_ * alignment_; }
  std::uint64_t align_up(std::uint64_t n) const { return align_down(n + alignment_ - 1); }
  bool aligned(const void* p) const {
    return reinterpret_cast<std::uintptr_t>(p) % alignment_ == 0;
  }
  Parts split(std::uint64_t offset, std::size_t length) const;
  // How many of the parts, from the first on, make one request; 0: the first has to go alone, for
  // it is not aligned or too large.
  template <class Part>
  std::size_t batch_of(std::span<const Part> parts) const;
  // Neighbours, and runs that begin in the chunk where the one before ends, become one. REQUIRES:
  // by ascending start.
  static std::vector<ChunkRun> join_runs(const std::vector<ChunkRun>& runs);
  // The data itself if a device takes it, else a copy in the buffer.
  std::span<const std::byte> aligned_source(std::span<const std::byte> data,
                                            BounceBuffer& buffer) const;

  const SessionInfo& info_;
  VolumeState& state_;
  VolumeSession& session_;

 private:
  // Bytes of the window that begins at offset.
  std::size_t window_at(std::uint64_t offset, std::uint64_t length) const;

  static constexpr std::uint64_t kLargestBatch = 16u << 20;  // bytes of chunks

  const std::uint32_t alignment_;
  std::uint64_t window_;  // bytes, a power of two, at least a chunk
};

template <class Part>
std::size_t VolumeIo::batch_of(std::span<const Part> parts) const {
  const std::uint64_t most = std::min(info_.max_request_chunks, kLargestBatch / info_.chunk_size);
  std::uint64_t chunks = 0;
  std::size_t n = 0;
  for (const Part& part : parts) {
    const bool direct = part.offset % alignment_ == 0 && part.data.size() % alignment_ == 0 &&
                        aligned(part.data.data());
    const std::uint64_t more = chunks_of(part.offset, part.data.size()).count;
    if (!direct || more > most - chunks) break;
    chunks += more;
    ++n;
  }
  return n;
}

}  // namespace csnap
