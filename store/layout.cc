// SPDX-License-Identifier: Apache-2.0
// Where the parts of a new store lie, and writing them.
#include <algorithm>
#include <cassert>
#include <string>

#include "store/aligned_buffer.h"
#include "store/bits.h"
#include "store/checksums.h"
#include "store/remake_store.h"
#include "store/space.h"
#include "store/superblock.h"
#include "store/superblock_check.h"
#include "store/superblock_format.h"
#include "store/tables_format.h"
#include "store/utf8.h"

namespace csnap {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

std::uint64_t default_journal(const LayoutRequest& request) {
  const std::uint64_t wanted =
      request.metadata_size != 0 ? request.metadata_size / 16 : request.store_size / 64;
  return std::clamp(wanted, kMiB, 64 * kMiB);
}

Status check_request(const LayoutRequest& request) {
  if (request.chunk_shift < kMinChunkShift || request.chunk_shift > kMaxChunkShift)
    return Status(Code::invalid, "the chunk size must be a power of two from 4 KiB to 1 MiB");
  if (request.origin_size == 0) return Status(Code::invalid, "the origin is empty");
  if (request.origin_size % 512 != 0)
    return Status(Code::invalid, "the origin's size, " + std::to_string(request.origin_size) +
                                     " bytes, is not a multiple of 512");
  if (request.label.size() > kMaxLabel || !is_plain_utf8(request.label))
    return Status(Code::invalid,
                  "the label must be at most 64 bytes of UTF-8 without control characters");
  if (request.journal_size != 0 && request.journal_size < kMinJournalBlocks * kBlockSize)
    return Status(Code::invalid, "the journal must have at least 256 KiB");
  for (const std::uint64_t size : {request.store_size, request.metadata_size, request.journal_size})
    if (size / kBlockSize > kMaxBlocks)
      return Status(Code::out_of_range, "a store or journal of more than 1 EiB");
  return {};
}

Status too_small(const std::string& what, std::uint64_t needed, std::uint64_t size) {
  return Status(Code::no_space, "the " + what + " is too small: it has " + std::to_string(size) +
                                    " bytes, at least " + std::to_string(needed) + " are needed");
}

// Puts areas one after the other, around nothing: the fixed region is over.
class Placer {
 public:
  BlockAddress place(std::uint64_t blocks) {
    const BlockAddress start = next_;
    next_ += blocks;
    return start;
  }
  BlockAddress next() const { return next_; }

 private:
  BlockAddress next_ = kSuperblockB + 1;
};

void start_space(SpaceLayout& space, std::uint64_t reserved) {
  const std::uint64_t per_chunk = 1ULL << (space.chunk_shift - kBlockShift);
  space.reserved = reserved;
  space.bitmap_ready = bitmap_blocks_for(reserved);
  space.free_blocks = space.blocks - reserved;
  space.free_chunks = space.free_blocks / per_chunk;
  space.cursor = reserved;
}

// The bitmap block in which the first `reserved` blocks of the space are used and no others.
void fill_bitmap(MutableBlock block, std::uint64_t index, std::uint64_t reserved) {
  const std::uint64_t first = index * kBitsPerBitmapBlock;
  if (reserved <= first) return;
  set_bits(block.subspan(sizeof(BlockHeader)), 0, std::min(reserved - first, kBitsPerBitmapBlock));
}

// Writes neighbouring blocks of one kind, many at a time.
template <class Fill>
Status write_blocks(Device& device, const Superblock& plan, BlockKind kind, BlockAddress start,
                    std::uint64_t count, Fill fill) {
  constexpr std::uint64_t kBatch = 256;
  for (std::uint64_t done = 0; done < count; done += kBatch) {
    const std::uint64_t n = std::min(kBatch, count - done);
    AlignedBuffer buffer(n * kBlockSize);
    for (std::uint64_t i = 0; i < n; ++i) {
      const MutableBlock block = buffer.span().subspan(i * kBlockSize, kBlockSize);
      fill(block, done + i);
      seal_block(block, kind, start + done + i, plan.uuid, Sequence(0));
    }
    CSNAP_TRY(write_sync(device, (start.value + done) * kBlockSize, buffer.span()));
  }
  return {};
}

Status write_bitmap(Device& device, const Superblock& plan, const SpaceLayout& space) {
  return write_blocks(
      device, plan, BlockKind::bitmap, space.bitmap, space.bitmap_ready,
      [&](MutableBlock block, std::uint64_t index) { fill_bitmap(block, index, space.reserved); });
}

// keep_data: of the store device only the reserved blocks are written.
Status format(Device& store, Device* metadata, const Superblock& plan, bool keep_data) {
  assert(plan.separate_metadata == (metadata != nullptr));
  Device& meta = metadata ? *metadata : store;
  AlignedBuffer zero(kBlockSize);
  if (metadata) {
    // It may have been a store of its own.
    for (const BlockAddress address : {kSuperblockA, kSuperblockB})
      if (store.size() / kBlockSize > address.value &&
          (!keep_data || address.value < plan.data.reserved))
        CSNAP_TRY(write_sync(store, address.value * kBlockSize, zero.span()));
    CSNAP_TRY(flush_sync(store));
  }
  for (const BlockAddress address : {kSuperblockA, kSuperblockB, plan.journal})
    CSNAP_TRY(write_sync(meta, address.value * kBlockSize, zero.span()));
  CSNAP_TRY(flush_sync(meta));

  const auto empty = [](MutableBlock, std::uint64_t) {};
  CSNAP_TRY(
      write_blocks(meta, plan, BlockKind::snapshots, plan.snapshots, plan.snapshot_blocks, empty));
  CSNAP_TRY(write_blocks(meta, plan, BlockKind::clients, plan.clients, plan.client_blocks, empty));
  CSNAP_TRY(write_bitmap(meta, plan, plan.data));
  if (metadata) {
    CSNAP_TRY(write_bitmap(meta, plan, plan.metadata));
    AlignedBuffer label(kBlockSize);
    encode_data_label(plan, label.span());
    CSNAP_TRY(write_sync(store, kDataLabel.value * kBlockSize, label.span()));
    CSNAP_TRY(flush_sync(store));
  }
  CSNAP_TRY(flush_sync(meta));
  return write_superblock(meta, plan);
}

}  // namespace

Result<Superblock> plan_layout(const LayoutRequest& request) {
  CSNAP_TRY(check_request(request));
  Superblock s;
  s.uuid = request.uuid;
  s.label = request.label;
  s.clean = true;
  s.chunk_shift = request.chunk_shift;
  s.origin_size = request.origin_size;
  s.separate_metadata = request.metadata_size != 0;
  if (s.separate_metadata) s.incompatible |= kFeatureSeparateMetadata;
  s.tail.sequence = Sequence(1);

  s.data.chunk_shift = s.chunk_shift;
  s.data.blocks = request.store_size / s.chunk_size() * s.blocks_per_chunk();
  s.metadata.blocks = request.metadata_size / kBlockSize;
  s.data.bitmap_blocks = bitmap_blocks_for(s.data.blocks);
  s.metadata.bitmap_blocks = bitmap_blocks_for(s.metadata.blocks);

  s.snapshots = kSuperblockA + 1;
  s.snapshot_blocks = kSnapshotBlocks;
  s.clients = s.snapshots + s.snapshot_blocks;
  s.client_blocks = kClientBlocks;
  static_assert(2 + kSnapshotBlocks + kClientBlocks <= kSuperblockB.value);

  Placer placer;
  s.data.bitmap = placer.place(s.data.bitmap_blocks);
  if (s.separate_metadata) s.metadata.bitmap = placer.place(s.metadata.bitmap_blocks);
  // With nothing reserved: a few more than needed when the metadata takes its share.
  s.checksum_blocks = checksum_blocks_for(s);
  s.checksums = placer.place(s.checksum_blocks);
  const std::uint64_t journal =
      request.journal_size != 0 ? request.journal_size : default_journal(request);
  s.journal_blocks = round_up(journal, kBlockSize) / kBlockSize;
  s.journal = placer.place(s.journal_blocks);

  const std::uint64_t fixed = placer.next().value;
  const std::uint64_t per_chunk = s.blocks_per_chunk();
  const std::uint64_t data_reserved =
      round_up(s.separate_metadata ? kDataLabel.value + 1 : fixed, per_chunk);
  const std::uint64_t needed = data_reserved + kMinFreeChunks * per_chunk;
  if (s.data.blocks < needed) return too_small("store", needed * kBlockSize, request.store_size);
  start_space(s.data, data_reserved);
  if (s.separate_metadata) {
    if (s.metadata.blocks < fixed + kMinFreeChunks)
      return too_small("metadata device", (fixed + kMinFreeChunks) * kBlockSize,
                       request.metadata_size);
    start_space(s.metadata, fixed);
  }
  CSNAP_TRY(check_superblock(s));
  return s;
}

Status format_store(Device& store, Device* metadata, const Superblock& plan) {
  return format(store, metadata, plan, false);
}

Status remake_store(Device& store, Device* metadata, const Superblock& plan) {
  return format(store, metadata, plan, true);
}

}  // namespace csnap
