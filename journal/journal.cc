// SPDX-License-Identifier: Apache-2.0
#include "journal/journal.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>
#include <utility>

#include "journal/journal_format.h"
#include "store/aligned_buffer.h"
#include "store/crc.h"

namespace csnap {
namespace {

// Blocks at the start of a commit, before its images.
std::uint64_t front_blocks(std::size_t record_bytes, std::size_t images) {
  const std::uint64_t bytes = kCommitRecords + record_bytes + images * sizeof(Le64);
  return (bytes + kBlockSize - 1) / kBlockSize;
}

// Lays the commit out, all but the header of its first block and the checksums.
void fill_commit(const CommitContent& content, Epoch epoch, std::span<std::byte> out) {
  const std::size_t front = out.size() - content.images.size() * kBlockSize;
  std::memset(out.data(), 0, front);
  auto& header = view_as<CommitHeader>(out.subspan(sizeof(BlockHeader)));
  header.epoch.set(epoch.value);
  header.checkpoint.set(content.checkpoint.value);
  header.record_bytes.set(static_cast<std::uint32_t>(content.records.size()));
  header.images.set(static_cast<std::uint32_t>(content.images.size()));
  header.blocks.set(static_cast<std::uint32_t>(out.size() / kBlockSize));
  header.flags.set(content.checkpoint_complete ? kCheckpointComplete : 0);

  if (!content.records.empty())
    std::memcpy(&out[kCommitRecords], content.records.data(), content.records.size());
  auto homes = out.subspan(kCommitRecords + content.records.size());
  auto images = out.subspan(front);
  for (const Image& image : content.images) {
    assert(image.content.size() == kBlockSize);
    assert(view_as<BlockHeader>(image.content).address.get() == image.home.value);
    assert(kind_of(image.content) != BlockKind::commit);
    view_as<Le64>(homes).set(image.home.value);
    homes = homes.subspan(sizeof(Le64));
    std::memcpy(images.data(), image.content.data(), kBlockSize);
    images = images.subspan(kBlockSize);
  }
  header.body_crc.set(crc32c(out.subspan(kBlockSize)));
}

}  // namespace

// A commit in flight passes through two stages, each a few requests at once: the writes (one, or
// two at the end of the ring), then the flushes. The first failure decides; nothing is told before
// every request of the stage has come back, since they use the buffer.
class Journal::Impl {
 public:
  Impl(Device& device, JournalLayout layout, const Uuid& store, Epoch epoch, JournalPosition tail,
       JournalPosition head)
      : device_(device), layout_(layout), store_(store), epoch_(epoch), tail_(tail), head_(head) {
    assert(layout.blocks >= kMinRingBlocks);
    assert(tail.block < layout.blocks && head.block < layout.blocks);
    assert(tail.sequence <= head.sequence);
    assert((tail.block == head.block) == (tail.sequence == head.sequence));
  }

  std::uint64_t capacity() const { return layout_.blocks - 1; }
  std::uint64_t live_blocks() const {
    return (head_.block + layout_.blocks - tail_.block) % layout_.blocks;
  }
  std::uint64_t free_blocks() const {
    return std::min(capacity() - live_blocks(), kMaxCommitBlocks);
  }
  const JournalPosition& head() const { return head_; }
  const JournalPosition& tail() const { return tail_; }
  bool busy() const { return pending_ > 0; }
  bool flush_failed() const { return flush_failed_; }

  void append(const CommitContent& content, const std::vector<Device*>& flush_also,
              std::function<void(Status)> done) {
    blocks_ = blocks_needed(content.records.size(), content.images.size());
    assert(!busy() && blocks_ <= free_blocks());
    assert(content.checkpoint <= head_.sequence);
    assert(content.checkpoint.value != 0 ||
           (content.images.empty() && !content.checkpoint_complete));
    const std::size_t bytes = blocks_ * kBlockSize;
    // At least doubled when it has to grow, so that the steady state allocates nothing.
    if (buffer_.size() < bytes) buffer_ = AlignedBuffer(std::max(bytes, 2 * buffer_.size()));
    const auto commit = buffer_.span().first(bytes);
    fill_commit(content, epoch_, commit);
    seal_block(commit.first(kBlockSize), BlockKind::commit, layout_.base + head_.block, store_,
               head_.sequence);

    flush_.assign(1, &device_);
    for (Device* device : flush_also)
      if (std::find(flush_.begin(), flush_.end(), device) == flush_.end()) flush_.push_back(device);
    done_ = std::move(done);
    write();
  }

  void set_tail(JournalPosition tail) {
    const auto ahead = [&](std::uint64_t block) {
      return (block + layout_.blocks - tail_.block) % layout_.blocks;
    };
    assert(tail.block < layout_.blocks && ahead(tail.block) <= live_blocks());
    assert(tail_.sequence <= tail.sequence && tail.sequence <= head_.sequence);
    assert((tail.block == head_.block) == (tail.sequence == head_.sequence));
    tail_ = tail;
  }

 private:
  void write() {
    const std::uint64_t before_wrap = std::min(blocks_, layout_.blocks - head_.block);
    flushing_ = false;
    pending_ = before_wrap < blocks_ ? 2 : 1;
    submit_write(head_.block, 0, before_wrap);
    if (before_wrap < blocks_) submit_write(0, before_wrap, blocks_ - before_wrap);
    device_.kick();
  }

  void submit_write(std::uint64_t ring_block, std::uint64_t first, std::uint64_t count) {
    device_.submit({.kind = IoKind::write,
                    .offset = (layout_.base + ring_block).value * kBlockSize,
                    .data = buffer_.span().subspan(first * kBlockSize, count * kBlockSize),
                    .done = [this](Status s) { request_done(std::move(s)); }});
  }

  void flush() {
    flushing_ = true;
    pending_ = flush_.size();
    for (Device* device : flush_) {
      device->submit({.kind = IoKind::flush, .offset = 0, .data = {}, .done = [this](Status s) {
                        request_done(std::move(s));
                      }});
      device->kick();
    }
  }

  void request_done(Status status) {
    assert(busy());
    if (!status.ok() && failure_.ok()) failure_ = std::move(status);
    if (--pending_ > 0) return;
    if (failure_.ok() && !flushing_) return flush();
    finish();
  }

  void finish() {
    flush_failed_ = flushing_ && !failure_.ok();
    const Status status =
        std::exchange(failure_, Status())
            .with_context("journal: commit " + std::to_string(head_.sequence.value));
    if (status.ok()) head_ = {(head_.block + blocks_) % layout_.blocks, head_.sequence + 1};
    // The last thing done here, since it may append again or end this journal.
    std::exchange(done_, nullptr)(status);
  }

  Device& device_;
  const JournalLayout layout_;
  const Uuid store_;
  const Epoch epoch_;
  JournalPosition tail_;
  JournalPosition head_;

  // The commit in flight.
  AlignedBuffer buffer_;
  std::uint64_t blocks_ = 0;
  std::vector<Device*> flush_;
  std::function<void(Status)> done_;
  std::size_t pending_ = 0;  // requests of this stage that have not come back
  bool flushing_ = false;
  bool flush_failed_ = false;
  Status failure_;
};

Journal::Journal(Device& device, JournalLayout layout, const Uuid& store, Epoch epoch,
                 JournalPosition tail, JournalPosition head)
    : impl_(std::make_unique<Impl>(device, layout, store, epoch, tail, head)) {}
Journal::~Journal() = default;

std::uint64_t Journal::blocks_needed(std::size_t record_bytes, std::size_t images) {
  return front_blocks(record_bytes, images) + images;
}
std::uint64_t Journal::capacity() const {
  return impl_->capacity();
}
std::uint64_t Journal::free_blocks() const {
  return impl_->free_blocks();
}
std::uint64_t Journal::live_blocks() const {
  return impl_->live_blocks();
}
Sequence Journal::next_sequence() const {
  return impl_->head().sequence;
}
JournalPosition Journal::head() const {
  return impl_->head();
}
JournalPosition Journal::tail() const {
  return impl_->tail();
}
bool Journal::busy() const {
  return impl_->busy();
}
bool Journal::flush_failed() const {
  return impl_->flush_failed();
}
void Journal::append(const CommitContent& content, const std::vector<Device*>& flush_also,
                     std::function<void(Status)> done) {
  impl_->append(content, flush_also, std::move(done));
}
void Journal::set_tail(JournalPosition tail) {
  impl_->set_tail(tail);
}

}  // namespace csnap
