// SPDX-License-Identifier: Apache-2.0
// A volume in memory and devices on it: for tests and for the simulation.
//
// MemoryVolume is the medium. It is sparse (a volume of 1 TiB costs what was written to it), reads
// as zeros where nothing was written, and knows what of it would survive a power cut:
//   durable   writes covered by a completed flush
//   unflushed writes that completed since, or that were submitted and have not completed yet
// crash() decides the fate of every unflushed write, sector by sector of 512 bytes, and cuts off
// all devices that are open on the volume: their requests, also those in flight, end with
// io_error "power failed". A MemoryDevice made afterwards sees what survived.
// Threading: any thread; one lock.
//
// MemoryDevice is one queue on a volume. A request takes effect when it is delivered by poll() or
// wait(), never before. Nothing blocks, so wait() is poll(); on a device with a clock, poll()
// delivers what is due by it, and wait() what is due first.
// Threading: one thread at a time, as every Device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/device.h"

namespace csnap {

struct UnflushedWrite {
  std::uint64_t id = 0;      // grows in the order of submission
  std::uint64_t offset = 0;  // bytes
  std::vector<std::byte> data;
  bool completed = false;  // its done() ran
};

class MemoryVolume {
 public:
  static constexpr std::size_t kSector = 512;

  MemoryVolume(std::string name, std::uint64_t size, std::uint32_t alignment = 4096);
  // The same medium at this moment, for a test that crashes a copy and goes on with the
  // original: content, unflushed writes, counters. No device is open on it. The two share their
  // pages until one of them writes: not from two threads.
  std::shared_ptr<MemoryVolume> clone() const;

  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }
  std::uint32_t alignment() const { return alignment_; }

  // What a device would read now. Any alignment; counted nowhere.
  void peek(std::uint64_t offset, std::span<std::byte> out) const;
  std::vector<std::byte> bytes(std::uint64_t offset, std::size_t length) const;
  // Changes the medium behind everybody's back, durably: damage, or a prepared content.
  void poke(std::uint64_t offset, std::span<const std::byte> data);

  // Is this sector (counted from the start of the write) of an unflushed write on the medium
  // after the crash? Asked for every sector of every unflushed write. Where several writes hit
  // one sector, they land in the order in which they completed, those in flight last.
  using Survives = std::function<bool(const UnflushedWrite& write, std::size_t sector)>;
  void crash(const Survives& survives);
  // Each write whole, lost, torn at one place or torn anywhere; they land in any order.
  void crash(std::mt19937_64& rng);
  void crash_losing_all();
  void crash_keeping_all();
  std::uint64_t crashes() const;

  struct Counters {
    std::uint64_t reads = 0, writes = 0, flushes = 0;  // completed without error
    std::uint64_t bytes_read = 0, bytes_written = 0;
  };
  Counters counters() const;
  std::size_t unflushed() const;          // writes that a crash could lose
  std::uint64_t allocated_bytes() const;  // of memory behind the content

 private:
  friend class MemoryDevice;
  static constexpr std::size_t kPage = 4096;
  using Page = std::shared_ptr<std::array<std::byte, kPage>>;  // never written while shared
  using Pages = std::unordered_map<std::uint64_t, Page>;

  // For MemoryDevice. began: the crash count when the device was opened; nothing happens and the
  // answer is false (or 0) when the power failed since.
  std::uint64_t write_begin(std::uint64_t began, std::uint64_t offset,
                            std::span<const std::byte> data);
  bool write_end(std::uint64_t began, std::uint64_t id, std::span<const std::byte> now);
  bool read(std::uint64_t began, std::uint64_t offset, std::span<std::byte> out);
  std::uint64_t flush_begin() const;
  bool flush_end(std::uint64_t began, std::uint64_t covers);

  void copy_out(std::uint64_t offset, std::span<std::byte> out) const;
  static void put(Pages& pages, const Pages* below, std::uint64_t offset,
                  std::span<const std::byte> data);
  void crash_ordered(std::vector<UnflushedWrite> writes, const Survives& survives);
  std::vector<UnflushedWrite> take_unflushed();

  const std::string name_;
  const std::uint64_t size_;
  const std::uint32_t alignment_;

  mutable std::mutex mutex_;
  Pages durable_;                         // what a crash cannot take
  Pages current_;                         // pages that differ from durable_ for unflushed writes
  std::list<UnflushedWrite> in_flight_;   // in order of submission
  std::deque<UnflushedWrite> completed_;  // in order of completion
  std::uint64_t next_id_ = 1;
  std::uint64_t completions_ =
      0;  // writes ever completed; the last completed_.size() are unflushed
  std::uint64_t crashes_ = 0;
  Counters counters_;
};

struct MemoryDeviceOptions {
  // Deliver in an order drawn from this seed instead of that of submission.
  std::optional<std::uint64_t> shuffle_seed = std::nullopt;
  bool one_at_a_time = false;  // each poll() delivers at most one
  bool event_fd = false;       // have an eventfd, for owners that sleep in an event loop
  bool read_only = false;
  // Both or none: a request is due when the clock shows the time of its submission plus latency().
  // Requests are delivered in the order in which they are due; the other order options mean nothing
  // then.
  const std::uint64_t* clock = nullptr;
  std::function<std::uint64_t(const IoRequest&)> latency = nullptr;
};

class MemoryDevice : public Device {
 public:
  explicit MemoryDevice(std::shared_ptr<MemoryVolume> volume, MemoryDeviceOptions options = {});
  // May be destroyed with requests in flight, as by abandon().
  ~MemoryDevice() override;

  const std::string& name() const override { return volume_->name(); }
  std::uint64_t size() const override { return volume_->size(); }
  std::uint32_t alignment() const override { return volume_->alignment(); }
  bool read_only() const override { return options_.read_only; }
  void submit(IoRequest request) override;
  void kick() override {}
  std::size_t poll() override;
  std::size_t wait() override;
  std::size_t in_flight() const override { return queue_.size(); }
  int event_fd() const override { return event_fd_; }
  Result<std::unique_ptr<Device>> share() override;

  // The owner dies as by kill -9: writes in flight reach the volume (which a power cut may still
  // take), no done() runs, and no memory of a request is touched.
  void abandon();
  // With a clock: when the next request is due; nothing when none is in flight.
  std::optional<std::uint64_t> next_due() const;
  const std::shared_ptr<MemoryVolume>& volume() const { return volume_; }

 private:
  struct Queued {
    IoRequest request;
    Status refused;           // not ok: never reached the volume
    std::uint64_t token = 0;  // of the volume: write's id, or what a flush covers
    std::uint64_t due = 0;
  };
  Status carry_out(Queued& queued);
  void deliver_front();

  std::shared_ptr<MemoryVolume> volume_;
  MemoryDeviceOptions options_;
  std::mt19937_64 rng_;
  std::uint64_t began_;
  std::deque<Queued> queue_;
  int event_fd_ = -1;
};

}  // namespace csnap
