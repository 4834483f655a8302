// SPDX-License-Identifier: Apache-2.0
#include "store/pack_writer.h"

#include <zstd.h>

#include <cassert>
#include <cstring>
#include <new>
#include <string>

#include "store/crc.h"

namespace csnap {
namespace {

constexpr int kLevel = 6;
constexpr std::size_t kFrameBytes = kPackFrameBlocks * kBlockSize;

std::uint32_t crc_of(const void* bytes, std::size_t size) {
  return crc32c({static_cast<const std::byte*>(bytes), size});
}

}  // namespace

PackWriter::PackWriter(Sink sink)
    : sink_(std::move(sink)),
      zstd_(ZSTD_createCCtx()),
      compressed_(ZSTD_compressBound(kFrameBytes)) {
  if (!zstd_) throw std::bad_alloc();
  frame_.reserve(kFrameBytes);
}

PackWriter::~PackWriter() {
  ZSTD_freeCCtx(zstd_);
}

Status PackWriter::put(const void* bytes, std::size_t size) {
  CSNAP_TRY(sink_({static_cast<const char*>(bytes), size}));
  offset_ += size;
  return {};
}

Status PackWriter::begin(const PackSizes& sizes) {
  PackHeader header{};
  std::memcpy(header.magic, kPackMagic, sizeof header.magic);
  header.version.set(kPackVersion);
  header.flags.set(sizes.metadata != 0 ? kPackSeparate : 0);
  std::memcpy(header.uuid, sizes.uuid.bytes.data(), sizeof header.uuid);
  header.store_size.set(sizes.store);
  header.metadata_size.set(sizes.metadata);
  header.crc.set(crc_of(&header, offsetof(PackHeader, crc)));
  return put(&header, sizeof header);
}

Status PackWriter::add(PackSide side, BlockAddress address, ConstBlock block) {
  assert(block.size() == kBlockSize);
  if (frame_.size() == kFrameBytes) CSNAP_TRY(end_frame());
  frame_.insert(frame_.end(), block.begin(), block.end());
  ++blocks_;
  if (frame_runs_ > 0) {
    PackRun& last = runs_.back();
    if (last.side.get() == static_cast<std::uint32_t>(side) &&
        last.block.get() + last.blocks.get() == address.value) {
      last.blocks.set(last.blocks.get() + 1);
      return {};
    }
  }
  PackRun run{};
  run.block.set(address.value);
  run.blocks.set(1);
  run.side.set(static_cast<std::uint32_t>(side));
  runs_.push_back(run);
  ++frame_runs_;
  return {};
}

Status PackWriter::end_frame() {
  if (frame_.empty()) return {};
  const std::size_t length = ZSTD_compressCCtx(zstd_, compressed_.data(), compressed_.size(),
                                               frame_.data(), frame_.size(), kLevel);
  if (ZSTD_isError(length))
    return Status(Code::internal, std::string("zstd: ") + ZSTD_getErrorName(length));
  PackFrame frame{};
  frame.offset.set(offset_);
  frame.length.set(static_cast<std::uint32_t>(length));
  frame.crc.set(crc32c(frame_));
  frame.runs.set(frame_runs_);
  frames_.push_back(frame);
  frame_.clear();
  frame_runs_ = 0;
  return put(compressed_.data(), length);
}

Status PackWriter::finish() {
  CSNAP_TRY(end_frame());
  if (frames_.size() * sizeof(PackFrame) + runs_.size() * sizeof(PackRun) > kMaxPackIndex)
    return Status(Code::unsupported, "the metadata is too large and too scattered for a pack");
  PackTrailer trailer{};
  trailer.index.set(offset_);
  trailer.frames.set(frames_.size());
  trailer.runs.set(runs_.size());
  std::uint32_t crc = crc_of(frames_.data(), frames_.size() * sizeof(PackFrame));
  crc = crc32c_extend(crc, std::as_bytes(std::span(runs_)));
  trailer.index_crc.set(crc);
  std::memcpy(trailer.magic, kPackEndMagic, sizeof trailer.magic);
  trailer.crc.set(crc_of(&trailer, offsetof(PackTrailer, crc)));
  CSNAP_TRY(put(frames_.data(), frames_.size() * sizeof(PackFrame)));
  CSNAP_TRY(put(runs_.data(), runs_.size() * sizeof(PackRun)));
  return put(&trailer, sizeof trailer);
}

}  // namespace csnap
