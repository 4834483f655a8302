// SPDX-License-Identifier: Apache-2.0
// Superblocks and data label on their devices.
#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>

#include "store/aligned_buffer.h"
#include "store/superblock.h"
#include "store/superblock_format.h"

namespace csnap {
namespace {

bool looks_like_ours(ConstBlock block) {
  const auto& disk = view_as<SuperblockDisk>(block);
  return disk.header.kind.get() == static_cast<std::uint32_t>(BlockKind::superblock) ||
         std::memcmp(disk.magic, kSuperblockMagic, sizeof disk.magic) == 0;
}

struct Copy {
  Result<Superblock> superblock = Status(Code::internal, "not read");
  bool ours = false;
  std::optional<Uuid> data_of;  // a data label instead: of this store
};

std::optional<Uuid> labelled(ConstBlock block) {
  Uuid uuid;
  std::memcpy(uuid.bytes.data(), view_as<BlockHeader>(block).uuid, uuid.bytes.size());
  if (!check_block(block, BlockKind::data_label, kDataLabel, uuid).ok()) return std::nullopt;
  return uuid;
}

Copy read_copy(Device& device, BlockAddress address) {
  AlignedBuffer buffer(kBlockSize);
  Copy copy;
  if (Status s = read_sync(device, address.value * kBlockSize, buffer.span()); !s.ok()) {
    copy.superblock = s;
    copy.ours = true;  // as far as anybody can tell
    return copy;
  }
  copy.superblock = decode_superblock(buffer.span(), address);
  copy.ours = looks_like_ours(buffer.span());
  if (address == kDataLabel) copy.data_of = labelled(buffer.span());
  return copy;
}

bool newer(const Superblock& a, const Superblock& b) {
  const auto age = [](const Superblock& s) {
    return std::tuple(s.epoch, s.checkpoint, s.tail.sequence);
  };
  return age(a) > age(b);
}

// Of which store are there other blocks of the fixed areas at the beginning, each where it says
// that it belongs? Tables are always among them, and in small stores bitmaps and journal. Blocks of
// the tree do not count: alone they are no store, and are left behind where one was.
std::optional<Uuid> store_around(Device& device) {
  constexpr std::uint64_t kAtOnce = 256, kLookAt = 1024;  // blocks: 4 MiB
  const std::uint64_t end = std::min(kLookAt, device.size() / kBlockSize);
  AlignedBuffer buffer(kAtOnce * kBlockSize);
  for (std::uint64_t at = 0; at < end; at += kAtOnce) {
    const auto piece = buffer.span().first(std::min(kAtOnce, end - at) * kBlockSize);
    if (!read_sync(device, at * kBlockSize, piece).ok()) continue;
    for (std::uint64_t i = 0; i < piece.size() / kBlockSize; ++i) {
      const ConstBlock block = piece.subspan(i * kBlockSize, kBlockSize);
      if (kind_of(block) == BlockKind::leaf || kind_of(block) == BlockKind::node) continue;
      Uuid uuid;
      std::memcpy(uuid.bytes.data(), view_as<BlockHeader>(block).uuid, uuid.bytes.size());
      if (check_any_block(block, BlockAddress(at + i), uuid).ok()) return uuid;
    }
  }
  return std::nullopt;
}

Status neither(Device& device, const Copy& a, const Copy& b) {
  if (a.data_of)
    return Status(Code::invalid, device.name() + " holds the data of store " +
                                     a.data_of->to_string() +
                                     ", whose metadata is on another device; name that too");
  const Status& first = a.superblock.status();
  const Status& second = b.superblock.status();
  const std::string text = device.name() +
                           ": no usable superblock: first copy: " + first.message() +
                           "; second copy: " + second.message();
  if (!a.ours && !b.ours) {
    const auto uuid = store_around(device);
    if (!uuid) return Status(Code::not_found, device.name() + " holds no csnap store");
    return Status(Code::corrupt, device.name() +
                                     ": both copies of the superblock were overwritten, but other "
                                     "blocks of store " +
                                     uuid->to_string() +
                                     " are there; csnap-check looks for a copy in the journal");
  }
  if (first.code() == Code::io_error || second.code() == Code::io_error)
    return Status(Code::io_error, text);
  return Status(Code::corrupt, text);
}

// A device that is too small for both copies.
Status read_cut_off(Device& device) {
  if (device.size() >= (kSuperblockA.value + 1) * kBlockSize) {
    const Copy a = read_copy(device, kSuperblockA);
    if (a.superblock.ok())
      return Status(Code::corrupt,
                    device.name() + " has " + std::to_string(device.size()) +
                        " bytes, but the store on it was made for " +
                        std::to_string(a.superblock->metadata_space().blocks * kBlockSize) +
                        ": its end is missing");
  }
  return Status(Code::not_found, device.name() + " holds no csnap store: it is too small");
}

}  // namespace

Result<Superblock> read_superblock(Device& metadata) {
  if (metadata.size() < (kSuperblockB.value + 1) * kBlockSize) return read_cut_off(metadata);
  Copy a = read_copy(metadata, kSuperblockA);
  Copy b = read_copy(metadata, kSuperblockB);
  // One copy of a newer build means that a newer build has changed the store: the other copy,
  // older, does not describe it any more.
  for (const Copy* copy : {&a, &b})
    if (copy->superblock.status().code() == Code::unsupported)
      return copy->superblock.status().with_context(metadata.name());
  if (!a.superblock.ok() && !b.superblock.ok()) return neither(metadata, a, b);
  if (!b.superblock.ok()) return std::move(a.superblock);
  if (!a.superblock.ok()) return std::move(b.superblock);
  if (a.superblock->uuid != b.superblock->uuid)
    return Status(Code::corrupt,
                  metadata.name() + ": the two superblocks are of different stores, " +
                      a.superblock->uuid.to_string() + " and " + b.superblock->uuid.to_string());
  return newer(*b.superblock, *a.superblock) ? std::move(b.superblock) : std::move(a.superblock);
}

Status refuse_copy(const Superblock& superblock, const Device& device) {
  if (!superblock.is_copy()) return {};
  const std::string& name = device.name();
  return Status(Code::invalid,
                name + " is a copy of the metadata of store " + superblock.uuid.to_string() +
                    ", made by csnap-check --to, and has none of its data; it is put back with: "
                    "csnap-dump " +
                    name + " | csnap-restore --force STORE");
}

Status check_superblock_copies(Device& metadata) {
  for (const BlockAddress address : {kSuperblockA, kSuperblockB}) {
    const Copy copy = read_copy(metadata, address);
    if (!copy.superblock.ok())
      return Status(Code::corrupt, metadata.name() + ": the copy of the superblock at block " +
                                       std::to_string(address.value) +
                                       " is damaged: " + copy.superblock.status().message());
  }
  return {};
}

Status write_superblock(Device& metadata, const Superblock& superblock) {
  AlignedBuffer buffer(kBlockSize);
  for (const BlockAddress address : {kSuperblockA, kSuperblockB}) {
    encode_superblock(superblock, address, buffer.span());
    CSNAP_TRY(write_sync(metadata, address.value * kBlockSize, buffer.span()));
    CSNAP_TRY(flush_sync(metadata));
  }
  return {};
}

void encode_data_label(const Superblock& superblock, MutableBlock out) {
  std::fill(out.begin(), out.end(), std::byte{0});
  auto& disk = view_as<DataLabelDisk>(out);
  std::memcpy(disk.magic, kSuperblockMagic, sizeof disk.magic);
  disk.version.set(superblock.version);
  disk.chunk_shift.set(superblock.chunk_shift);
  disk.blocks.set(superblock.data.blocks);
  std::memcpy(disk.label, superblock.label.data(), std::min(superblock.label.size(), kMaxLabel));
  seal_block(out, BlockKind::data_label, kDataLabel, superblock.uuid, Sequence(0));
}

Status check_data_label(ConstBlock block, const Uuid& store) {
  const auto& disk = view_as<DataLabelDisk>(block);
  Uuid found;
  std::memcpy(found.bytes.data(), disk.header.uuid, found.bytes.size());
  CSNAP_TRY(check_block(block, BlockKind::data_label, kDataLabel, found));
  if (found != store)
    return Status(Code::invalid, "this is the data device of store " + found.to_string() +
                                     ", not of " + store.to_string());
  return {};
}

Status check_devices(const Superblock& superblock, Device& store, Device* metadata) {
  if (superblock.separate_metadata != (metadata != nullptr))
    return Status(Code::invalid, metadata ? "the store has no separate metadata device"
                                          : "the store has a separate metadata device; name it");
  const auto check_size = [](const Device& device, const SpaceLayout& space) -> Status {
    if (device.size() / kBlockSize >= space.blocks) return {};
    return Status(Code::corrupt, device.name() + " has " + std::to_string(device.size()) +
                                     " bytes, but the store on it was made for " +
                                     std::to_string(space.blocks * kBlockSize) +
                                     ": its end is missing");
  };
  CSNAP_TRY(check_size(store, superblock.data));
  if (!metadata) return {};
  CSNAP_TRY(check_size(*metadata, superblock.metadata));
  AlignedBuffer label(kBlockSize);
  CSNAP_TRY(read_sync(store, kDataLabel.value * kBlockSize, label.span()));
  return check_data_label(label.span(), superblock.uuid).with_context(store.name());
}

}  // namespace csnap
