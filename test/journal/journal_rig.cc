// SPDX-License-Identifier: Apache-2.0
#include "test/journal/journal_rig.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "store/block_cache.h"

namespace csnap {

Bytes bytes_of(std::string_view text) {
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

Bytes filler(std::size_t size, std::uint64_t n) {
  std::mt19937_64 rng(n);
  Bytes bytes(size);
  for (auto& b : bytes) b = static_cast<std::byte>(rng());
  return bytes;
}

void FailingDevice::fail_next(IoKind kind) {
  fails = [this, kind](const IoRequest& request) {
    if (request.kind != kind) return false;
    fails = nullptr;
    return true;
  };
}

void FailingDevice::submit(IoRequest request) {
  const auto picks = fails;  // it may take itself away
  if (picks && picks(request)) {
    failed_.push_back(std::move(request));
  } else {
    below_.submit(std::move(request));
  }
}

std::size_t FailingDevice::poll() {
  const auto failed = std::exchange(failed_, {});
  for (const auto& request : failed) request.done(Status(Code::io_error, "told to fail"));
  return failed.size() + below_.poll();
}

JournalRig::JournalRig(std::uint64_t ring_blocks)
    : layout{BlockAddress(kBase), ring_blocks},
      volume(std::make_shared<MemoryVolume>("memory", kVolumeBlocks * kBlockSize)) {
  volume->poke(volume_offset(0), Bytes(ring_blocks * kBlockSize, std::byte{0xee}));
  restart({0, Sequence(1)}, {0, Sequence(1)});
}

TestImage JournalRig::image(std::uint64_t home, std::uint64_t n) const {
  Bytes content = filler(kBlockSize, n);
  seal_block(content, BlockKind::leaf, BlockAddress(home), uuid, Sequence(n));
  return {BlockAddress(home), content};
}

TestCommit JournalRig::commit(Bytes records, std::vector<TestImage> images) const {
  const auto blocks = Journal::blocks_needed(records.size(), images.size());
  const Sequence checkpoint = images.empty() ? Sequence() : journal->next_sequence();
  return {journal->head(), blocks, epoch, std::move(records), std::move(images), checkpoint, false};
}

CommitContent JournalRig::content(const TestCommit& commit) {
  CommitContent content{commit.records, {}, commit.checkpoint, commit.complete};
  for (const auto& image : commit.images) content.images.push_back({image.home, image.content});
  return content;
}

Status JournalRig::append(const TestCommit& commit) {
  Status status;
  bool done = false;
  journal->append(content(commit), {}, [&](Status s) {
    status = std::move(s);
    done = true;
  });
  while (!done) REQUIRE(failing->poll() > 0);
  return status;
}

ScanOutcome JournalRig::scan(MemoryVolume& from, JournalPosition tail) const {
  MemoryDevice scanned(std::shared_ptr<MemoryVolume>(std::shared_ptr<void>(), &from));
  return scan(scanned, tail);
}

ScanOutcome JournalRig::scan(Device& from, JournalPosition tail) const {
  ScanOutcome outcome;
  const auto head = scan_journal(from, layout, uuid, tail, [&](const ScannedCommit& found) {
    TestCommit commit{found.position,
                      found.blocks,
                      found.epoch,
                      {found.records.begin(), found.records.end()},
                      {},
                      found.checkpoint,
                      found.checkpoint_complete};
    for (const Image& image : found.images)
      commit.images.push_back({image.home, {image.content.begin(), image.content.end()}});
    outcome.commits.push_back(std::move(commit));
    return Status();
  });
  outcome.status = head.status();
  if (head.ok()) outcome.head = head.value();
  return outcome;
}

void JournalRig::restart(JournalPosition tail, JournalPosition head) {
  if (device) device->abandon();
  journal.reset();
  ++epoch;
  device = std::make_unique<MemoryDevice>(volume, MemoryDeviceOptions{.one_at_a_time = true});
  failing = std::make_unique<FailingDevice>(*device);
  journal = std::make_unique<Journal>(*failing, layout, uuid, epoch, tail, head);
}

Bytes JournalRig::ring_block(std::uint64_t n) const {
  return volume->bytes(volume_offset(n), kBlockSize);
}

void JournalRig::put_ring_block(std::uint64_t n, const Bytes& block) {
  volume->poke(volume_offset(n), block);
}

}  // namespace csnap
