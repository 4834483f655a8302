// SPDX-License-Identifier: Apache-2.0
// Writes a pack from front to back: docs/format/pack.md.
// Threading: one thread. Errors: those of the sink; internal when zstd fails.
// Memory: one frame, and 16 bytes for each run of blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "store/block_cache.h"
#include "store/pack_format.h"
#include "store/status.h"

struct ZSTD_CCtx_s;

namespace csnap {

struct PackSizes {
  Uuid uuid;
  std::uint64_t store = 0;     // bytes
  std::uint64_t metadata = 0;  // bytes; 0: one device
};

class PackWriter {
 public:
  using Sink = std::function<Status(std::string_view bytes)>;
  explicit PackWriter(Sink sink);
  ~PackWriter();

  Status begin(const PackSizes& sizes);
  // REQUIRES: ascending addresses on one side; the metadata's side comes first.
  Status add(PackSide side, BlockAddress address, ConstBlock block);
  Status finish();
  std::uint64_t blocks() const { return blocks_; }

 private:
  Status end_frame();
  Status put(const void* bytes, std::size_t size);

  Sink sink_;
  ZSTD_CCtx_s* zstd_;
  std::uint64_t offset_ = 0;
  std::uint64_t blocks_ = 0;
  std::vector<std::byte> frame_;
  std::vector<char> compressed_;
  std::uint32_t frame_runs_ = 0;
  std::vector<PackFrame> frames_;
  std::vector<PackRun> runs_;
};

}  // namespace csnap
