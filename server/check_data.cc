// SPDX-License-Identifier: Apache-2.0
// The checksum table, and on request the data that it is about.
#include <algorithm>
#include <vector>

#include "server/check_impl.h"
#include "store/checksums.h"
#include "store/crc.h"

namespace csnap {
namespace {

constexpr std::size_t kDataPieces = 8;  // in flight
constexpr std::uint64_t kPieceBytes = 1u << 20;

// Reads chunks in the order in which they come, neighbours together, and compares them.
class DataReader {
 public:
  DataReader(Device& device, unsigned chunk_shift)
      : device_(device),
        shift_(chunk_shift),
        per_piece_(std::max<std::uint64_t>(1, kPieceBytes >> chunk_shift)),
        pieces_(kDataPieces) {
    for (Piece& piece : pieces_) idle_.push_back(&piece);
  }

  void add(StoreChunk chunk, std::uint32_t crc) {
    if (filling_ && (filling_->run.end() != chunk || filling_->run.count == per_piece_)) send();
    if (!filling_) {
      while (idle_.empty()) device_.wait();
      filling_ = idle_.back();
      idle_.pop_back();
      // A small store needs few.
      if (filling_->buffer.size() == 0) filling_->buffer = AlignedBuffer(per_piece_ << shift_);
      filling_->run = {chunk, 0};
      filling_->crcs.clear();
    }
    ++filling_->run.count;
    filling_->crcs.push_back(crc);
  }
  void finish() {
    if (filling_) send();
    while (idle_.size() < kDataPieces) device_.wait();
  }

  std::uint64_t compared = 0;
  std::vector<StoreRun> bad;  // in no order

 private:
  struct Piece {
    StoreRun run;
    std::vector<std::uint32_t> crcs;
    AlignedBuffer buffer;
  };

  void send() {
    Piece& piece = *std::exchange(filling_, nullptr);
    device_.submit({IoKind::read, piece.run.start.value << shift_,
                    piece.buffer.span().first(piece.run.count << shift_),
                    [this, &piece](const Status& status) {
                      compare(piece, status);
                      idle_.push_back(&piece);
                    }});
    device_.kick();
  }
  void compare(Piece& piece, const Status& read) {
    for (std::uint64_t i = 0; i < piece.run.count; ++i) {
      const auto data = piece.buffer.span().subspan(i << shift_, 1ULL << shift_);
      if (!read.ok()) {
        // Which of them it was is found out alone, later.
        unread_.push_back(piece.run.start + i);
        unread_crcs_.push_back(piece.crcs[i]);
        continue;
      }
      judge(piece.run.start + i, data, piece.crcs[i]);
    }
  }
  void judge(StoreChunk chunk, std::span<const std::byte> data, std::uint32_t crc) {
    ++compared;
    if (stored_checksum(crc32c(data)) != crc) bad.push_back({chunk, 1});
  }

 public:
  // REQUIRES: finish().
  void read_again() {
    for (std::size_t i = 0; i < unread_.size(); ++i) {
      const auto data = pieces_[0].buffer.span().first(1ULL << shift_);
      if (read_sync(device_, unread_[i].value << shift_, data).ok())
        judge(unread_[i], data, unread_crcs_[i]);
      else
        bad.push_back({unread_[i], 1});
    }
  }

 private:
  Device& device_;
  const unsigned shift_;
  const std::uint64_t per_piece_;  // chunks
  std::vector<Piece> pieces_;
  std::vector<Piece*> idle_;
  Piece* filling_ = nullptr;
  std::vector<StoreChunk> unread_;
  std::vector<std::uint32_t> unread_crcs_;
};

}  // namespace

void StoreCheck::look_at_checksums() {
  const Superblock& s = state().superblock();
  DataReader data(store_, s.chunk_shift);
  const bool compare = options_.data && has_data();
  std::vector<BlockAddress> addresses;
  // A stretch of the table at a time: what it says is kept while the data is read.
  constexpr std::uint64_t kStretch = 128;
  for (std::uint64_t from = 0; from < s.checksums_ready; from += kStretch) {
    progress(compare ? "data" : "checksums", from, s.checksums_ready);
    const std::uint64_t to = std::min(from + kStretch, s.checksums_ready);
    addresses.clear();
    for (std::uint64_t b = from; b < to; ++b) addresses.push_back(s.checksums + b);
    std::vector<std::uint32_t> crcs((to - from) * kChecksumsPerBlock);
    reader_->read(addresses, BlockKind::checksums, [&](std::size_t i, const Result<ConstBlock>& b) {
      if (!b.ok()) {
        bad_checksums_.push_back(addresses[i]);
        add(CheckArea::checksums, Severity::damage, addresses[i],
            b.status().message() + "; the data of " + std::to_string(kChecksumsPerBlock) +
                " store chunks, from " +
                std::to_string(s.first_chunk().value + (from + i) * kChecksumsPerBlock) +
                " on, cannot be verified any more");
        return;
      }
      if (!compare) return;
      for (std::size_t k = 0; k < kChecksumsPerBlock; ++k)
        crcs[i * kChecksumsPerBlock + k] =
            view_as<Le32>(b->subspan(sizeof(BlockHeader) + k * 4)).get();
    });
    if (!compare) continue;
    const StoreChunk first = s.first_chunk() + from * kChecksumsPerBlock;
    const std::uint64_t count =
        std::min<std::uint64_t>(crcs.size(), s.store_chunks() - first.value);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!tree_.chunks.contains(first + i)) continue;
      if (crcs[i] != 0)
        data.add(first + i, crcs[i]);
      else
        ++report_.counts.unverifiable;
    }
  }
  data.finish();
  data.read_again();
  report_.counts.data_chunks = data.compared;
  if (data.bad.empty()) return;
  std::sort(data.bad.begin(), data.bad.end(),
            [](const StoreRun& a, const StoreRun& b) { return a.start < b.start; });
  merge_runs(data.bad);
  find_owners(*reader_, s, data.bad, BadException::Why::bad_data, tree_);
}

}  // namespace csnap
