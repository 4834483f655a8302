// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/copy_pieces.h"

#include "store/types.h"

namespace csnap {
namespace {

std::uint64_t end_of_piece(std::uint64_t offset) {
  return (offset / CopyPieces::kPiece + 1) * CopyPieces::kPiece;
}

}  // namespace

// Where data begins, from here on.
Result<std::uint64_t> CopyPieces::find(CopyEnd& end, DataExtent& known) const {
  if (at_ >= known.end) {
    CSNAP_ASSIGN(known, end.next_data(at_));
  }
  return std::min(size_, std::max(at_, known.start / kBlockSize * kBlockSize));
}

Result<std::optional<CopyPieces::Piece>> CopyPieces::next() {
  const std::lock_guard lock(mutex_);
  if (at_ >= size_) return std::optional<Piece>();
  CSNAP_ASSIGN(const std::uint64_t data, find(source_, wanted_));
  if (data > at_ && !destination_.empty()) {
    CSNAP_ASSIGN(const std::uint64_t zeros, find(destination_, there_));
    if (zeros < data) {
      const std::uint64_t most = destination_.punches() ? zeros + kHole : end_of_piece(zeros);
      const std::uint64_t gone = (there_.end + kBlockSize - 1) / kBlockSize * kBlockSize;
      at_ = std::min({data, most, gone});
      return std::optional(Piece{zeros, at_ - zeros, true});
    }
  }
  at_ = std::min(size_, data == size_ ? size_ : end_of_piece(data));
  if (data == size_) return std::optional<Piece>();
  return std::optional(Piece{data, at_ - data, false});
}

}  // namespace csnap
