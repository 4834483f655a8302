// SPDX-License-Identifier: Apache-2.0
// I/O on a snapshot. Reads go where the server says the chunks lie, or where it is remembered;
// writes go to places that are the snapshot's alone. Chunks that are overwritten whole get a
// provisional place first, which becomes the content when their data is there.
#pragma once

#include <optional>
#include <vector>

#include "client/chunk_locks.h"
#include "client/flusher.h"
#include "client/volume_io.h"

namespace csnap {

class SnapshotIo : public VolumeIo {
 public:
  // REQUIRES: parts.origin and parts.store.
  explicit SnapshotIo(const VolumeParts& parts);
  Status read_parts(std::span<const ReadPart> parts) override;
  Status flush() override { return flusher_.flush(); }

 protected:
  Status read_window(std::uint64_t offset, std::span<std::byte> data) override;
  Status write_window(std::uint64_t offset, std::span<const std::byte> data) override;

 private:
  // A window being written.
  struct Write {
    ChunkRun chunks;
    Parts parts;
    std::span<const std::byte> data;    // all of it
    std::span<const std::byte> middle;  // parts.middle bytes that a device takes
    std::vector<bool> done;             // by chunk: its data is the content already

    std::uint64_t end() const { return parts.offset + data.size(); }
  };
  struct Span {
    std::uint64_t offset;  // on a device
    std::uint64_t from;    // of the volume
    std::size_t length;
  };

  // A chunk whose data did not have the checksum that the server said it has.
  struct Mismatch {
    Chunk chunk;
    StoreChunk store;
    std::uint32_t crc = 0;
    bool operator==(const Mismatch&) const = default;
  };

  // snapshot_read.cc
  bool remembered(ChunkRun run, std::vector<ReadSource>& sources) const;
  Result<bool> read_remembered(std::uint64_t start, std::span<std::byte> into);
  Result<bool> read_asked(std::span<const ReadPart> parts, std::optional<Mismatch>& mismatch);
  Result<std::optional<Mismatch>> read_sources(const std::vector<ReadSource>& sources,
                                               std::span<const ReadPart> parts);
  Status read_batch(std::span<const ReadPart> parts);

  // snapshot_write.cc
  bool places_known(const Write& write) const;
  bool rewritable_spans(std::uint64_t start, std::size_t length, std::vector<Span>& spans) const;
  Status get_places(Write& write);
  bool covers_whole(const Write& write, Chunk c) const;
  Status get_rewritable(const std::vector<ChunkRun>& chunks);
  Status write_provisional(Write& write, const std::vector<ChunkRun>& chunks,
                           Mapper::WriteKind kind);
  Result<std::vector<FinishedRun>> write_targets(const Write& write, const WriteMapping& mapping);
  std::span<const std::byte> source(const Write& write, ChunkRun chunks) const;
  Result<bool> write_in_place(const Write& write);
  Result<bool> write_run(const Write& write, std::uint64_t from, std::uint64_t to);
  template <class F>
  Result<bool> when_rewritable(std::uint64_t offset, std::size_t length, bool alone, F io);
  Result<bool> write_sector(std::uint64_t offset, std::span<const std::byte> data);

  QueuePool& origin_;
  QueuePool& store_;
  Flusher flusher_;
  ChunkLocks first_writes_;
};

}  // namespace csnap
