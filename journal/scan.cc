// SPDX-License-Identifier: Apache-2.0
// Finding the commits of a journal again. Two kinds of bad bytes are told apart: what a crash can
// leave at the end of the journal ends the scan; a commit that passes its checksums and still makes
// no sense was not left by a crash, and is corrupt.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "journal/journal.h"
#include "journal/journal_format.h"
#include "store/aligned_buffer.h"
#include "store/crc.h"

namespace csnap {
namespace {

constexpr std::uint64_t kReadBlocks = 256;  // 1 MiB

// The ring as one sequence of blocks from a place on, a window of which is in memory.
class RingReader {
 public:
  RingReader(Device& device, JournalLayout layout, std::uint64_t from)
      : device_(device), layout_(layout), next_(from), unread_(layout.blocks - 1) {}

  // Blocks from the front of the window to where the ring comes back to its start.
  std::uint64_t left() const { return (end_ - begin_) + unread_; }

  // Makes the next n blocks readable. REQUIRES: n <= left().
  Status ensure(std::uint64_t n) {
    if (end_ - begin_ >= n) return {};
    if (begin_ > 0) {
      const auto kept = blocks(begin_, end_ - begin_);
      std::memmove(buffer_.data(), kept.data(), kept.size());
      end_ -= begin_;
      begin_ = 0;
    }
    while (end_ < n) CSNAP_TRY(read_piece(n - end_));
    return {};
  }

  // The next n blocks. Valid until ensure(). REQUIRES: ensure(n).
  std::span<const std::byte> front(std::uint64_t n) { return blocks(begin_, n); }
  void consume(std::uint64_t n) { begin_ += n; }

 private:
  // Reads at least one block, at most a large piece, of which the first `needed` must be read.
  Status read_piece(std::uint64_t needed) {
    const std::uint64_t in_a_row = std::min(unread_, layout_.blocks - next_);
    const std::uint64_t piece = std::min(in_a_row, kReadBlocks);
    make_room(end_ + piece);
    Status s = read(piece);
    // A bad sector further on, beyond the end of the journal perhaps, is no reason to fail.
    if (!s.ok() && needed < piece) s = read(needed);
    return s;
  }

  Status read(std::uint64_t count) {
    CSNAP_TRY(read_sync(device_, (layout_.base + next_).value * kBlockSize, blocks(end_, count)));
    end_ += count;
    unread_ -= count;
    next_ = (next_ + count) % layout_.blocks;
    return {};
  }

  void make_room(std::uint64_t count) {
    const std::size_t bytes = count * kBlockSize;
    if (bytes <= buffer_.size()) return;
    AlignedBuffer grown(std::max(bytes, 2 * buffer_.size()));
    const auto kept = blocks(0, end_);
    if (!kept.empty()) std::memcpy(grown.data(), kept.data(), kept.size());
    buffer_ = std::move(grown);
  }

  std::span<std::byte> blocks(std::size_t first, std::size_t count) {
    return buffer_.span().subspan(first * kBlockSize, count * kBlockSize);
  }

  Device& device_;
  const JournalLayout layout_;
  std::uint64_t next_;    // block of the ring that follows the window
  std::uint64_t unread_;  // blocks that may still be read
  AlignedBuffer buffer_;
  std::size_t begin_ = 0;  // the window, in blocks of the buffer
  std::size_t end_ = 0;
};

Status check_place(const Device& device, JournalLayout layout, JournalPosition tail) {
  const std::uint64_t device_blocks = device.size() / kBlockSize;
  if (layout.blocks < kMinRingBlocks || layout.blocks > device_blocks ||
      layout.base.value > device_blocks - layout.blocks)
    return Status(Code::corrupt, "the journal does not lie within " + device.name());
  if (tail.block >= layout.blocks)
    return Status(Code::corrupt, "the journal's tail does not lie within it");
  return {};
}

// What is said of one commit that makes no sense.
Status nonsense(const std::string& what) {
  return Status(Code::corrupt, what);
}

// Do the counts of a commit header agree with each other and with the room there is?
Status check_header(const CommitHeader& header, Sequence sequence, std::uint64_t room) {
  const std::uint64_t blocks = header.blocks.get();
  const std::uint64_t images = header.images.get();
  const std::uint64_t records = header.record_bytes.get();
  if (blocks > room || blocks > kMaxCommitBlocks)
    return nonsense(std::to_string(blocks) + " blocks do not fit where it lies");
  if (blocks == 0 || blocks != Journal::blocks_needed(records, images))
    return nonsense(std::to_string(records) + " bytes of records and " + std::to_string(images) +
                    " images do not take " + std::to_string(blocks) + " blocks");
  if ((header.flags.get() & ~kCheckpointComplete) != 0) return nonsense("unknown flags");
  const bool complete = (header.flags.get() & kCheckpointComplete) != 0;
  if (header.checkpoint.get() == 0 && (images > 0 || complete))
    return nonsense("images of no checkpoint");
  if (header.checkpoint.get() > sequence.value)
    return nonsense("images of a checkpoint that is still to come");
  return {};
}

// Is this block the commit that should be here? Anything else is the journal's end.
bool is_next_commit(ConstBlock block, BlockAddress address, const Uuid& store, Sequence sequence,
                    Epoch at_least) {
  return check_block(block, BlockKind::commit, address, store).ok() &&
         view_as<BlockHeader>(block).sequence.get() == sequence.value &&
         view_as<CommitHeader>(block.subspan(sizeof(BlockHeader))).epoch.get() >= at_least.value;
}

// The images of a commit whose checksums are right.
Result<std::vector<Image>> get_images(const Device& device, JournalLayout layout, const Uuid& store,
                                      std::span<const std::byte> commit,
                                      const CommitHeader& header) {
  std::vector<Image> images(header.images.get());
  auto homes = commit.subspan(kCommitRecords + header.record_bytes.get());
  auto contents = commit.last(images.size() * kBlockSize);
  for (Image& image : images) {
    image = {BlockAddress(view_as<Le64>(homes).get()), contents.first(kBlockSize)};
    homes = homes.subspan(sizeof(Le64));
    contents = contents.subspan(kBlockSize);
    const std::string name = "image of block " + std::to_string(image.home.value);
    if (image.home.value >= device.size() / kBlockSize)
      return nonsense(name + ": beyond the end of " + device.name());
    if (image.home >= layout.base && image.home < layout.base + layout.blocks)
      return nonsense(name + ": its home is in the journal");
    if (const Status s = check_any_block(image.content, image.home, store); !s.ok())
      return s.with_context(name);
    if (kind_of(image.content) == BlockKind::commit) return nonsense(name + ": a commit block");
  }
  return images;
}

class Scanner {
 public:
  Scanner(Device& device, JournalLayout layout, const Uuid& store, JournalPosition tail)
      : device_(device),
        layout_(layout),
        store_(store),
        at_(tail),
        reader_(device, layout, tail.block) {}

  const JournalPosition& at() const { return at_; }

  // The next whole commit, valid until the next call; none at the journal's end.
  Result<std::optional<ScannedCommit>> next() {
    reader_.consume(taken_);
    taken_ = 0;
    auto commit = read_commit();
    if (!commit.ok())
      return commit.status().with_context("journal: commit " + std::to_string(at_.sequence.value) +
                                          " at block " + std::to_string(at_.block) +
                                          " of the ring");
    if (commit->has_value()) {
      taken_ = (*commit)->blocks;
      epoch_ = (*commit)->epoch;
      at_ = {(at_.block + taken_) % layout_.blocks, at_.sequence + 1};
    }
    return commit;
  }

 private:
  using Found = std::optional<ScannedCommit>;

  Result<Found> read_commit() {
    if (reader_.left() == 0) return Found();
    CSNAP_TRY(reader_.ensure(1));
    const ConstBlock first = reader_.front(1);
    if (!is_next_commit(first, layout_.base + at_.block, store_, at_.sequence, epoch_))
      return Found();
    // A copy: the block moves when more of the commit is read.
    const auto header = view_as<CommitHeader>(first.subspan(sizeof(BlockHeader)));
    CSNAP_TRY(check_header(header, at_.sequence, reader_.left()));
    CSNAP_TRY(reader_.ensure(header.blocks.get()));
    const auto commit = reader_.front(header.blocks.get());
    if (crc32c(commit.subspan(kBlockSize)) != header.body_crc.get()) return Found();

    CSNAP_ASSIGN(auto images, get_images(device_, layout_, store_, commit, header));
    return Found(ScannedCommit{
        .position = at_,
        .blocks = header.blocks.get(),
        .epoch = Epoch(header.epoch.get()),
        .records = commit.subspan(kCommitRecords, header.record_bytes.get()),
        .images = std::move(images),
        .checkpoint = Sequence(header.checkpoint.get()),
        .checkpoint_complete = (header.flags.get() & kCheckpointComplete) != 0,
    });
  }

  Device& device_;
  const JournalLayout layout_;
  const Uuid store_;
  JournalPosition at_;       // of the next commit
  Epoch epoch_;              // of the one before
  std::uint64_t taken_ = 0;  // blocks at the reader's front that belong to the one before
  RingReader reader_;
};

}  // namespace

Result<JournalPosition> scan_journal(Device& device, JournalLayout layout, const Uuid& store,
                                     JournalPosition tail,
                                     const std::function<Status(const ScannedCommit&)>& visit) {
  CSNAP_TRY(check_place(device, layout, tail));
  Scanner scanner(device, layout, store, tail);
  for (;;) {
    CSNAP_ASSIGN(const auto commit, scanner.next());
    if (!commit) return scanner.at();
    CSNAP_TRY(visit(*commit));
  }
}

}  // namespace csnap
