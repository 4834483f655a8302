// SPDX-License-Identifier: Apache-2.0
// I/O on the origin: reads go straight to the device; writes do once their chunks are known to be
// unique, which the server is asked for the first time after each snapshot.
#pragma once

#include "client/flusher.h"
#include "client/volume_io.h"

namespace csnap {

class OriginIo : public VolumeIo {
 public:
  // REQUIRES: parts.origin.
  explicit OriginIo(const VolumeParts& parts);
  Status write_parts(std::span<const WritePart> parts) override;
  Status flush() override { return flusher_.flush(); }

 protected:
  Status read_window(std::uint64_t offset, std::span<std::byte> data) override;
  Status write_window(std::uint64_t offset, std::span<const std::byte> data) override;

 private:
  Status ask_for_missing(ChunkRun run);
  Status write_batch(std::span<const WritePart> parts);
  template <class F>
  Status when_unique(std::uint64_t offset, std::size_t length, bool alone, F io);
  Status write_sector(std::uint64_t offset, std::span<const std::byte> data);
  Status device_read(std::uint64_t offset, std::span<std::byte> data);
  Status device_write(std::uint64_t offset, std::span<const std::byte> data);

  QueuePool& device_;
  Flusher flusher_;
};

}  // namespace csnap
