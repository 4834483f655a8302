// SPDX-License-Identifier: Apache-2.0
#include "store/superblock.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "store/superblock_check.h"
#include "store/superblock_format.h"

namespace csnap {
namespace {

static_assert(sizeof(SuperblockDisk::label) == kMaxLabel);
static_assert(sizeof(SuperblockDisk::holder) == kMaxHolder);

void encode_space(const SpaceLayout& from, SpaceDisk& to) {
  to.blocks.set(from.blocks);
  to.bitmap.set(from.bitmap.value);
  to.bitmap_blocks.set(from.bitmap_blocks);
  to.bitmap_ready.set(from.bitmap_ready);
  to.reserved.set(from.reserved);
  to.free_blocks.set(from.free_blocks);
  to.free_chunks.set(from.free_chunks);
  to.cursor.set(from.cursor);
  to.chunk_shift.set(static_cast<std::uint8_t>(from.chunk_shift));
}

SpaceLayout decode_space(const SpaceDisk& from) {
  SpaceLayout to;
  to.blocks = from.blocks.get();
  to.chunk_shift = from.chunk_shift.get();
  to.bitmap = BlockAddress(from.bitmap.get());
  to.bitmap_blocks = from.bitmap_blocks.get();
  to.bitmap_ready = from.bitmap_ready.get();
  to.reserved = from.reserved.get();
  to.free_blocks = from.free_blocks.get();
  to.free_chunks = from.free_chunks.get();
  to.cursor = from.cursor.get();
  return to;
}

void encode_area(BlockAddress start, std::uint64_t blocks, AreaDisk& to) {
  to.start.set(start.value);
  to.blocks.set(blocks);
}

template <std::size_t N>
void encode_text(const std::string& from, char (&to)[N], U8& length) {
  const std::size_t n = std::min(from.size(), N);
  std::memcpy(to, from.data(), n);
  length.set(static_cast<std::uint8_t>(n));
}

// These texts end up on terminals and in logs: whatever is in them must not be obeyed there.
template <std::size_t N>
std::string decode_text(const char (&from)[N], std::size_t length) {
  std::string text(from, std::min(length, N));
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

std::string unknown_feature(const SuperblockDisk& disk, unsigned bit) {
  const char* name = disk.feature_names[bit];
  const std::size_t length =
      std::min(std::strlen(std::string(name, kFeatureName).c_str()), kFeatureName);
  std::string text = "bit " + std::to_string(bit);
  if (length == 0) return text;
  std::string shown(name, length);
  for (char& c : shown)
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  return shown + " (" + text + ")";
}

Status check_supported(const SuperblockDisk& disk) {
  if (disk.version.get() != kFormatVersion)
    return Status(Code::unsupported,
                  "the store has format version " + std::to_string(disk.version.get()) +
                      "; this csnap knows version " + std::to_string(kFormatVersion));
  std::uint64_t unknown = disk.incompatible.get();
  for (const FeatureName& feature : kIncompatibleFeatures) unknown &= ~feature.bit;
  if (unknown == 0) return {};
  std::string names;
  for (unsigned bit = 0; bit < 64; ++bit)
    if (unknown >> bit & 1) names += (names.empty() ? "" : ", ") + unknown_feature(disk, bit);
  return Status(Code::unsupported, "the store uses features that this csnap does not know: " +
                                       names + "; use a newer csnap");
}

}  // namespace

bool Superblock::is_copy() const {
  return (incompatible & kFeatureMetadataCopy) != 0;
}

void Superblock::mark_as_copy() {
  incompatible |= kFeatureMetadataCopy;
}

void encode_superblock(const Superblock& superblock, BlockAddress address, MutableBlock out) {
  assert(out.size() == kBlockSize);
  assert(address == kSuperblockA || address == kSuperblockB);
  assert(superblock.separate_metadata ==
         ((superblock.incompatible & kFeatureSeparateMetadata) != 0));
  std::fill(out.begin(), out.end(), std::byte{0});
  auto& disk = view_as<SuperblockDisk>(out);
  std::memcpy(disk.magic, kSuperblockMagic, sizeof disk.magic);
  disk.version.set(superblock.version);
  disk.flags.set((superblock.clean ? kSuperblockClean : 0) |
                 (superblock.repairing ? kSuperblockRepairing : 0));
  disk.compatible.set(superblock.compatible);
  disk.incompatible.set(superblock.incompatible);
  for (const FeatureName& feature : kIncompatibleFeatures)
    if (superblock.incompatible & feature.bit)
      std::strncpy(disk.feature_names[__builtin_ctzll(feature.bit)], feature.name,
                   kFeatureName - 1);
  disk.epoch.set(superblock.epoch.value);
  disk.origin_size.set(superblock.origin_size);
  disk.chunk_shift.set(static_cast<std::uint8_t>(superblock.chunk_shift));
  encode_text(superblock.label, disk.label, disk.label_length);
  encode_text(superblock.holder, disk.holder, disk.holder_length);
  disk.tree_levels.set(superblock.tree_levels);
  encode_space(superblock.data, disk.data);
  if (superblock.separate_metadata) encode_space(superblock.metadata, disk.metadata);
  encode_area(superblock.checksums, superblock.checksum_blocks, disk.checksums);
  disk.checksums_ready.set(superblock.checksums_ready);
  encode_area(superblock.snapshots, superblock.snapshot_blocks, disk.snapshots);
  encode_area(superblock.clients, superblock.client_blocks, disk.clients);
  encode_area(superblock.journal, superblock.journal_blocks, disk.journal);
  disk.tree_root.set(superblock.tree_root.value);
  disk.tree_blocks.set(superblock.tree_blocks);
  disk.exceptions.set(superblock.exceptions);
  disk.next_snapshot.set(superblock.next_snapshot.value);
  disk.checkpoint.set(superblock.checkpoint.value);
  disk.tail_block.set(superblock.tail.block);
  disk.tail_sequence.set(superblock.tail.sequence.value);
  disk.reign.set(superblock.reign.value);
  seal_block(out, BlockKind::superblock, address, superblock.uuid, superblock.checkpoint);
}

Result<Superblock> decode_superblock(ConstBlock block, BlockAddress address) {
  assert(block.size() == kBlockSize);
  const auto& disk = view_as<SuperblockDisk>(block);
  Superblock s;
  std::memcpy(s.uuid.bytes.data(), disk.header.uuid, s.uuid.bytes.size());
  CSNAP_TRY(check_block(block, BlockKind::superblock, address, s.uuid));
  if (std::memcmp(disk.magic, kSuperblockMagic, sizeof disk.magic) != 0)
    return Status(Code::corrupt, "a superblock without its magic");
  CSNAP_TRY(check_supported(disk));
  s.label = decode_text(disk.label, disk.label_length.get());
  s.version = disk.version.get();
  s.compatible = disk.compatible.get();
  s.incompatible = disk.incompatible.get();
  s.epoch = Epoch(disk.epoch.get());
  s.clean = (disk.flags.get() & kSuperblockClean) != 0;
  s.repairing = (disk.flags.get() & kSuperblockRepairing) != 0;
  s.holder = decode_text(disk.holder, disk.holder_length.get());
  s.chunk_shift = disk.chunk_shift.get();
  s.origin_size = disk.origin_size.get();
  s.separate_metadata = (s.incompatible & kFeatureSeparateMetadata) != 0;
  s.data = decode_space(disk.data);
  if (s.separate_metadata) s.metadata = decode_space(disk.metadata);
  s.checksums = BlockAddress(disk.checksums.start.get());
  s.checksum_blocks = disk.checksums.blocks.get();
  s.checksums_ready = disk.checksums_ready.get();
  s.snapshots = BlockAddress(disk.snapshots.start.get());
  s.snapshot_blocks = disk.snapshots.blocks.get();
  s.clients = BlockAddress(disk.clients.start.get());
  s.client_blocks = disk.clients.blocks.get();
  s.journal = BlockAddress(disk.journal.start.get());
  s.journal_blocks = disk.journal.blocks.get();
  s.tree_root = BlockAddress(disk.tree_root.get());
  s.tree_levels = disk.tree_levels.get();
  s.tree_blocks = disk.tree_blocks.get();
  s.exceptions = disk.exceptions.get();
  s.next_snapshot = SnapshotId(disk.next_snapshot.get());
  s.checkpoint = Sequence(disk.checkpoint.get());
  s.tail = {disk.tail_block.get(), Sequence(disk.tail_sequence.get())};
  s.reign = Sequence(disk.reign.get());
  CSNAP_TRY(check_superblock(s));
  return s;
}

}  // namespace csnap
