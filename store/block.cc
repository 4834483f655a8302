// SPDX-License-Identifier: Apache-2.0
#include <cassert>
#include <cstdio>
#include <cstring>
#include <string>

#include "store/block_cache.h"
#include "store/crc.h"
#include "store/zeros.h"

namespace csnap {
namespace {

std::uint32_t checksum_of(ConstBlock block) {
  // As if the field were zero: what lies before it, four zeros, what lies after it.
  constexpr std::size_t kField = offsetof(BlockHeader, crc);
  constexpr std::byte kZeros[sizeof(Le32)] = {};
  std::uint32_t crc = crc32c(block.first(kField));
  crc = crc32c_extend(crc, kZeros);
  return crc32c_extend(crc, block.subspan(kField + sizeof(Le32)));
}

bool known(BlockKind kind) {
  switch (kind) {
    case BlockKind::superblock:
    case BlockKind::data_label:
    case BlockKind::snapshots:
    case BlockKind::clients:
    case BlockKind::bitmap:
    case BlockKind::checksums:
    case BlockKind::commit:
    case BlockKind::leaf:
    case BlockKind::node:
      return true;
  }
  return false;
}

std::string hex(std::uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", value);
  return text;
}

std::string describe_kind(BlockKind kind) {
  if (known(kind)) return std::string("a ") + kind_name(kind);
  return "a block of unknown kind " + hex(static_cast<std::uint32_t>(kind));
}

// Collects what is wrong, so that a message tells all of it: a block at the wrong address with a
// good checksum is another story than one that is damaged.
Status judge(ConstBlock block, const BlockKind* kind, BlockAddress address, const Uuid& store) {
  assert(block.size() == kBlockSize);
  const auto& header = view_as<BlockHeader>(block);
  std::string wrong;
  const auto add = [&wrong](const std::string& what) {
    wrong += (wrong.empty() ? "" : "; ") + what;
  };
  const BlockKind found = kind_of(block);
  if (kind != nullptr && found != *kind)
    add("it is " + describe_kind(found) + ", not a " + kind_name(*kind));
  else if (!known(found))
    add("it is " + describe_kind(found));
  if (header.address.get() != address.value)
    add("it says it is block " + std::to_string(header.address.get()));
  Uuid owner;
  std::memcpy(owner.bytes.data(), header.uuid, sizeof header.uuid);
  if (owner != store)
    add("it belongs to store " + owner.to_string() + ", not " + store.to_string());
  const std::uint32_t crc = checksum_of(block);
  if (header.crc.get() != crc)
    add("its checksum is " + hex(header.crc.get()) + " but its content gives " + hex(crc));
  if (wrong.empty()) return Status();
  if (all_zero(block)) wrong = "it is all zeros: never written, or lost";
  return Status(Code::corrupt, "metadata block " + std::to_string(address.value) + ": " + wrong);
}

}  // namespace

void seal_block(MutableBlock block, BlockKind kind, BlockAddress address, const Uuid& store,
                Sequence sequence) {
  assert(block.size() == kBlockSize);
  auto& header = view_as<BlockHeader>(block);
  header.kind.set(static_cast<std::uint32_t>(kind));
  header.address.set(address.value);
  std::memcpy(header.uuid, store.bytes.data(), sizeof header.uuid);
  header.sequence.set(sequence.value);
  std::memset(header.reserved, 0, sizeof header.reserved);
  seal_checksum(block);
}

void seal_checksum(MutableBlock block) {
  assert(block.size() == kBlockSize);
  view_as<BlockHeader>(block).crc.set(checksum_of(block));
}

Status check_block(ConstBlock block, BlockKind kind, BlockAddress address, const Uuid& store) {
  return judge(block, &kind, address, store);
}

Status check_any_block(ConstBlock block, BlockAddress address, const Uuid& store) {
  return judge(block, nullptr, address, store);
}

BlockKind kind_of(ConstBlock block) {
  return static_cast<BlockKind>(view_as<BlockHeader>(block).kind.get());
}

const char* kind_name(BlockKind kind) {
  switch (kind) {
    case BlockKind::superblock:
      return "superblock";
    case BlockKind::data_label:
      return "data label";
    case BlockKind::snapshots:
      return "snapshot table";
    case BlockKind::clients:
      return "client table";
    case BlockKind::bitmap:
      return "bitmap";
    case BlockKind::checksums:
      return "checksum table";
    case BlockKind::commit:
      return "commit block";
    case BlockKind::leaf:
      return "leaf";
    case BlockKind::node:
      return "node";
  }
  return "block of unknown kind";
}

}  // namespace csnap
