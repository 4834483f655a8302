// SPDX-License-Identifier: Apache-2.0
// Telling a damaged journal from one that ends: what lies behind the end is looked at.
#include <algorithm>
#include <array>

#include "journal/journal.h"
#include "journal/journal_format.h"
#include "store/aligned_buffer.h"

namespace csnap {
namespace {

constexpr std::uint64_t kPieceBlocks = 128;  // 512 KiB
constexpr std::size_t kPieces = 8;           // in flight

// A part of the ring, one piece after another, several of which are being read ahead.
class Pieces {
 public:
  struct Piece {
    std::uint64_t first = 0, count = 0;  // blocks of the ring
    AlignedBuffer buffer;
    Status status;
    bool arrived = false;
    std::span<std::byte> block(std::uint64_t i) {
      return buffer.span().subspan(i * kBlockSize, kBlockSize);
    }
  };

  // left: blocks from `at` on.
  Pieces(Device& device, JournalLayout layout, std::uint64_t at, std::uint64_t left)
      : device_(device), layout_(layout), at_(at), left_(left) {
    for (auto& piece : ring_) start(piece);
  }
  ~Pieces() {
    while (in_flight_ > 0) device_.wait();
  }
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  // Valid until the next call; null at the end.
  Piece* next() {
    if (taken_) start(ring_[turn_++ % kPieces]);
    taken_ = true;
    device_.kick();
    Piece& piece = ring_[turn_ % kPieces];
    if (piece.count == 0) return nullptr;
    while (!piece.arrived) device_.wait();
    return &piece;
  }

 private:
  void start(Piece& piece) {
    piece.first = at_;
    piece.count = std::min({left_, kPieceBlocks, layout_.blocks - at_});
    piece.arrived = false;
    if (piece.count == 0) return;
    if (piece.buffer.size() == 0) piece.buffer = AlignedBuffer(kPieceBlocks * kBlockSize);
    left_ -= piece.count;
    at_ = (at_ + piece.count) % layout_.blocks;
    ++in_flight_;
    device_.submit({IoKind::read, (layout_.base + piece.first).value * kBlockSize,
                    piece.buffer.span().first(piece.count * kBlockSize), [this, &piece](Status s) {
                      piece.status = std::move(s);
                      piece.arrived = true;
                      --in_flight_;
                    }});
  }

  Device& device_;
  const JournalLayout layout_;
  std::uint64_t at_, left_;  // what has not been asked for
  std::array<Piece, kPieces> ring_;
  std::size_t turn_ = 0;  // the piece that next() gave last, or gives first
  bool taken_ = false;
  std::size_t in_flight_ = 0;
};

}  // namespace

Result<std::optional<LaterCommit>> find_later_commit(Device& device, JournalLayout layout,
                                                     const Uuid& store, JournalPosition tail,
                                                     JournalPosition head, Epoch at_least) {
  using Found = std::optional<LaterCommit>;
  std::uint64_t left = (tail.block + layout.blocks - head.block) % layout.blocks;
  if (left == 0) left = layout.blocks;
  Pieces pieces(device, layout, head.block, left);
  while (Pieces::Piece* piece = pieces.next()) {
    for (std::uint64_t i = 0; i < piece->count; ++i) {
      const auto block = piece->block(i);
      const BlockAddress address = layout.base + piece->first + i;
      // A block that cannot be read says nothing; its neighbours may.
      if (!piece->status.ok() && !read_sync(device, address.value * kBlockSize, block).ok())
        continue;
      const std::uint64_t sequence = view_as<BlockHeader>(block).sequence.get();
      if (sequence <= head.sequence.value || kind_of(block) != BlockKind::commit) continue;
      const Epoch epoch(view_as<CommitHeader>(block.subspan(sizeof(BlockHeader))).epoch.get());
      if (epoch < at_least || !check_block(block, BlockKind::commit, address, store).ok()) continue;
      return Found(LaterCommit{{piece->first + i, Sequence(sequence)}, epoch});
    }
  }
  return Found();
}

}  // namespace csnap
