// SPDX-License-Identifier: Apache-2.0
// A journal on a memory volume, what tests append to it, and what they find there again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "journal/journal.h"
#include "store/memory_device.h"

namespace csnap {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text);
// So many bytes of no meaning, told apart by n.
Bytes filler(std::size_t size, std::uint64_t n);

// Passes everything on to another device, but fails the requests that `fails` picks.
class FailingDevice : public Device {
 public:
  explicit FailingDevice(Device& below) : below_(below) {}
  std::function<bool(const IoRequest&)> fails;
  // Fails the first request of this kind from now on, once.
  void fail_next(IoKind kind);

  const std::string& name() const override { return below_.name(); }
  std::uint64_t size() const override { return below_.size(); }
  std::uint32_t alignment() const override { return below_.alignment(); }
  bool read_only() const override { return below_.read_only(); }
  void submit(IoRequest request) override;
  void kick() override { below_.kick(); }
  std::size_t poll() override;
  std::size_t wait() override { return poll(); }
  std::size_t in_flight() const override { return below_.in_flight() + failed_.size(); }
  Result<std::unique_ptr<Device>> share() override { return below_.share(); }

 private:
  Device& below_;
  std::vector<IoRequest> failed_;  // whose done() has not run
};

// A commit as a test keeps it, to be appended or as it was found.
struct TestImage {
  BlockAddress home;
  Bytes content;
  bool operator==(const TestImage&) const = default;
};
struct TestCommit {
  JournalPosition position;
  std::uint64_t blocks = 0;
  Epoch epoch;
  Bytes records;
  std::vector<TestImage> images;
  Sequence checkpoint;
  bool complete = false;
  bool operator==(const TestCommit&) const = default;
};

struct ScanOutcome {
  std::vector<TestCommit> commits;
  Status status;
  JournalPosition head;  // when status is ok
};

class JournalRig {
 public:
  static constexpr std::uint64_t kBase = 8;
  static constexpr std::uint64_t kVolumeBlocks = 4096;

  // An empty journal. Its ring is full of old junk, so that a block not written is never right by
  // accident.
  explicit JournalRig(std::uint64_t ring_blocks);

  // A sealed leaf, told apart by n.
  TestImage image(std::uint64_t home, std::uint64_t n) const;
  // With position, blocks and epoch that an append now would give it.
  TestCommit commit(Bytes records, std::vector<TestImage> images = {}) const;
  static CommitContent content(const TestCommit& commit);

  // Appends and waits.
  Status append(const TestCommit& commit);
  Status append(const std::string& records) { return append(commit(bytes_of(records))); }
  // Takes the commit back off the volume.
  ScanOutcome scan() const { return scan(*volume, journal->tail()); }
  ScanOutcome scan(MemoryVolume& from, JournalPosition tail) const;
  ScanOutcome scan(Device& from, JournalPosition tail) const;
  // A server after this one: another device, the next epoch, and this tail and head.
  void restart(JournalPosition tail, JournalPosition head);

  std::uint64_t volume_offset(std::uint64_t ring_block) const {
    return (kBase + ring_block) * kBlockSize;
  }
  Bytes ring_block(std::uint64_t n) const;
  void put_ring_block(std::uint64_t n, const Bytes& block);

  const JournalLayout layout;
  const Uuid uuid = Uuid::from_random(0x0123456789abcdef, 0xfedcba9876543210);
  std::shared_ptr<MemoryVolume> volume;
  std::unique_ptr<MemoryDevice> device;
  std::unique_ptr<FailingDevice> failing;  // on device; what the journal uses
  Epoch epoch;                             // of the server now
  std::unique_ptr<Journal> journal;
};

}  // namespace csnap
