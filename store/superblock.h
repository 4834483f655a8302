// SPDX-License-Identifier: Apache-2.0
// What a store is and where its parts lie: the root of everything. The struct in memory; the bytes
// are in superblock_format.h and docs/format/superblock.md.
// On disk twice, at blocks kSuperblockA and kSuperblockB of the metadata device; both are
// written at each checkpoint, the first flushed before the second is begun; the newest valid
// one wins: by epoch, then checkpoint, then tail of the journal; A when they tie, for A is never
// older than B.
// Threading: values; the functions that take a device block and belong to its thread.
#pragma once

#include <cstdint>
#include <string>

#include "store/block_cache.h"
#include "store/status.h"
#include "store/types.h"
#include "store/uuid.h"

namespace csnap {

inline constexpr BlockAddress kSuperblockA{1};    // 4 KiB in
inline constexpr BlockAddress kSuperblockB{256};  // 1 MiB in: another erase block, another track
inline constexpr BlockAddress kDataLabel{1};  // of the data device, when metadata lies elsewhere
inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::size_t kMaxLabel = 64;             // bytes
inline constexpr std::size_t kMaxHolder = 104;           // bytes; what is longer is cut
inline constexpr std::uint64_t kMaxBlocks = 1ULL << 48;  // of a device: addresses have 48 bits
inline constexpr std::uint64_t kMinJournalBlocks = 64;
inline constexpr std::uint64_t kMinFreeChunks = 16;  // that a new store must have

// A space of blocks under one bitmap (see space.h).
struct SpaceLayout {
  std::uint64_t blocks = 0;  // 4 KiB blocks that the bitmap covers: whole chunks only
  unsigned chunk_shift = kBlockShift;
  BlockAddress bitmap;  // first bitmap block, on the metadata device
  std::uint64_t bitmap_blocks = 0;
  std::uint64_t bitmap_ready = 0;  // bitmap blocks ever written; those after it count as zero
  std::uint64_t reserved = 0;      // blocks at the start that hold the fixed areas
  std::uint64_t free_blocks = 0;
  std::uint64_t free_chunks = 0;  // chunks all of whose blocks are free
  std::uint64_t cursor =
      0;  // block at which the last allocation ended: the next search starts here
  bool operator==(const SpaceLayout&) const = default;
};

struct JournalPosition {
  std::uint64_t block = 0;  // within the ring, 0 <= block < size of the ring
  Sequence sequence;        // of the commit that starts there, or will
  bool operator==(const JournalPosition&) const = default;
};

struct Superblock {
  Uuid uuid;
  std::string label;  // UTF-8, for people
  std::uint32_t version = kFormatVersion;
  std::uint64_t compatible = 0;    // feature bits an older build may ignore
  std::uint64_t incompatible = 0;  // feature bits an older build must refuse
  Epoch epoch;
  bool clean = false;      // the last server left in order: nothing to replay
  bool repairing = false;  // a repair or restore was begun and not finished: not to be served
  std::string holder;      // who has it open, or had: "csnapd, pid 7 on host.example"

  unsigned chunk_shift = kMinChunkShift;
  std::uint64_t origin_size = 0;  // bytes
  bool separate_metadata = false;
  SpaceLayout data;      // the store device
  SpaceLayout metadata;  // the metadata device; unused unless separate_metadata

  BlockAddress checksums;  // table of CRC-32C per store chunk
  std::uint64_t checksum_blocks = 0;
  std::uint64_t checksums_ready = 0;  // blocks ever written; those after it count as zero
  BlockAddress snapshots;             // snapshot table
  std::uint64_t snapshot_blocks = 0;
  BlockAddress clients;  // client table
  std::uint64_t client_blocks = 0;
  BlockAddress journal;
  std::uint64_t journal_blocks = 0;

  BlockAddress tree_root;         // meaningless when tree_levels is 0
  std::uint32_t tree_levels = 0;  // 0: no exception; 1: the root is a leaf
  std::uint64_t tree_blocks = 0;  // leaves and nodes
  std::uint64_t exceptions = 0;   // store chunks that hold an exception
  SnapshotId next_snapshot{1};    // also the next transid of a snapshot whose content changed

  Sequence checkpoint;   // the homes hold the state after this commit
  JournalPosition tail;  // the oldest commit that recovery must read
  // The first commit of this epoch. Those before it were durable when the epoch began.
  Sequence reign;

  bool operator==(const Superblock&) const = default;

  // The metadata of a store that holds its own, copied away from the data: to be looked at and
  // dumped, never to be served or written to.
  bool is_copy() const;
  void mark_as_copy();

  std::uint64_t chunk_size() const { return 1ULL << chunk_shift; }
  std::uint64_t blocks_per_chunk() const { return 1ULL << (chunk_shift - kBlockShift); }
  std::uint64_t origin_chunks() const {
    return (origin_size >> chunk_shift) + (origin_size % chunk_size() != 0);
  }
  std::uint64_t store_chunks() const { return data.blocks >> (chunk_shift - kBlockShift); }
  // First chunk of the store that can hold an exception.
  StoreChunk first_chunk() const {
    return StoreChunk(data.reserved >> (chunk_shift - kBlockShift));
  }
  // The space that metadata blocks come from.
  const SpaceLayout& metadata_space() const { return separate_metadata ? metadata : data; }
  SpaceLayout& metadata_space() { return separate_metadata ? metadata : data; }
};

// address is where it will be written (A or B); the rest of the block is filled in and sealed.
void encode_superblock(const Superblock& superblock, BlockAddress address, MutableBlock out);
// REQUIRES nothing of the bytes. unsupported, with their names, for features or a version this
// build does not know; corrupt for anything that contradicts itself.
Result<Superblock> decode_superblock(ConstBlock block, BlockAddress address);

// Reads both, newest valid wins. The Status of a failure says what was wrong with each: not_found
// when neither block looks like a superblock of csnap, invalid when this is the data device of a
// store whose metadata lies elsewhere, unsupported when either is of a newer
// build, corrupt when there is (or was) a store but no copy of its superblock can be trusted.
Result<Superblock> read_superblock(Device& metadata);
// invalid, with what to do instead, when this is a copy of metadata.
Status refuse_copy(const Superblock& superblock, const Device& device);
// Are the devices large enough for what the superblock says lies on them? metadata is null when it
// is on the store; with a device of its own, the store's data label is read and checked too.
Status check_devices(const Superblock& superblock, Device& store, Device* metadata);
// ok when both copies are well; otherwise what is wrong with the one that is not. REQUIRES:
// read_superblock() was ok.
Status check_superblock_copies(Device& metadata);
// Writes A, flushes, writes B, flushes.
Status write_superblock(Device& metadata, const Superblock& superblock);

// The block that says whose data device this is, when the metadata is elsewhere.
void encode_data_label(const Superblock& superblock, MutableBlock out);
Status check_data_label(ConstBlock block, const Uuid& store);

// The fixed areas of a new store, one after the other, for devices of these sizes. journal_size
// 0: a 64th of the store (a 16th of a metadata device), at least 1 MiB, at most 64 MiB. Fails with
// invalid, or with no_space when it does not fit.
struct LayoutRequest {
  Uuid uuid;
  std::string label;
  std::uint64_t origin_size = 0;    // bytes
  std::uint64_t store_size = 0;     // bytes
  std::uint64_t metadata_size = 0;  // bytes; 0: metadata on the store
  unsigned chunk_shift = kMinChunkShift;
  std::uint64_t journal_size = 0;  // bytes
};
Result<Superblock> plan_layout(const LayoutRequest& request);
// Writes every block of an empty store (mkstore): tables, the bitmaps of the reserved blocks, an
// empty journal, data label, and last the superblocks. Wipes nothing else, but a superblock that
// was there is wiped first: a crash on the way leaves no store. Blocks.
Status format_store(Device& store, Device* metadata, const Superblock& plan);

}  // namespace csnap
