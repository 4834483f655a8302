// SPDX-License-Identifier: Apache-2.0
#include "server/check_reader.h"

namespace csnap {
namespace {

constexpr std::size_t kPieces = 8;           // in flight
constexpr std::uint64_t kPieceBlocks = 128;  // 512 KiB
// Blocks between two wanted ones that are rather read than skipped.
constexpr std::uint64_t kGap = 8;

}  // namespace

BlockReader::BlockReader(Device& device, BlockCache& cache, const Uuid& store)
    : device_(device), cache_(cache), store_(store), pieces_(kPieces) {
  for (Piece& piece : pieces_) idle_.push_back(&piece);
}

// need_block when it is not in memory.
Result<ConstBlock> BlockReader::cached(BlockAddress address, std::span<const BlockKind> kinds) {
  auto block = cache_.read(address, kinds.front());
  for (std::size_t i = 1; i < kinds.size() && block.status().code() == Code::corrupt; ++i)
    block = cache_.read(address, kinds[i]);
  return block;
}

Status BlockReader::verify(ConstBlock block, BlockAddress address,
                           std::span<const BlockKind> kinds) const {
  for (const BlockKind kind : kinds.subspan(1))
    if (kind_of(block) == kind) return check_block(block, kind, address, store_);
  return check_block(block, kinds.front(), address, store_);
}

void BlockReader::read_kinds(std::span<const BlockAddress> addresses,
                             std::span<const BlockKind> kinds, const Visit& visit) {
  std::size_t next = 0;
  while (next < addresses.size() || idle_.size() < kPieces) {
    while (next < addresses.size() && !idle_.empty()) {
      const auto block = cached(addresses[next], kinds);
      if (block.status().code() != Code::need_block) {
        visit(next++, block);
        continue;
      }
      Piece& piece = *idle_.back();
      idle_.pop_back();
      // A small store needs few.
      if (piece.buffer.size() == 0) piece.buffer = AlignedBuffer(kPieceBlocks * kBlockSize);
      piece.first = next;
      piece.end = next + 1;
      while (piece.end < addresses.size() &&
             addresses[piece.end] - addresses[piece.first] < kPieceBlocks &&
             addresses[piece.end] - addresses[piece.end - 1] <= kGap)
        ++piece.end;
      next = piece.end;
      submit(piece, addresses);
    }
    if (idle_.size() < kPieces && finished_.empty()) device_.wait();
    while (!finished_.empty()) {
      Piece* piece = finished_.back();
      finished_.pop_back();
      deliver(*piece, addresses, kinds, visit);
      idle_.push_back(piece);
    }
  }
}

void BlockReader::submit(Piece& piece, std::span<const BlockAddress> addresses) {
  const BlockAddress from = addresses[piece.first];
  const std::uint64_t blocks = addresses[piece.end - 1] - from + 1;
  device_.submit({IoKind::read, from.value * kBlockSize,
                  piece.buffer.span().first(blocks * kBlockSize), [this, &piece](Status status) {
                    piece.status = std::move(status);
                    finished_.push_back(&piece);
                  }});
}

void BlockReader::deliver(const Piece& piece, std::span<const BlockAddress> addresses,
                          std::span<const BlockKind> kinds, const Visit& visit) {
  const BlockAddress from = addresses[piece.first];
  AlignedBuffer alone;
  for (std::size_t i = piece.first; i < piece.end; ++i) {
    const auto in_memory = cached(addresses[i], kinds);
    if (in_memory.status().code() != Code::need_block) {
      visit(i, in_memory);
      continue;
    }
    ConstBlock block = piece.buffer.span().subspan((addresses[i] - from) * kBlockSize, kBlockSize);
    Status status;
    if (!piece.status.ok()) {
      // One bad sector takes the whole request with it; the blocks beside it are well.
      if (alone.size() == 0) alone = AlignedBuffer(kBlockSize);
      status = read_sync(device_, addresses[i].value * kBlockSize, alone.span());
      block = alone.span();
    }
    if (status.ok()) status = verify(block, addresses[i], kinds);
    visit(i, status.ok() ? Result<ConstBlock>(block) : Result<ConstBlock>(status));
  }
}

}  // namespace csnap
