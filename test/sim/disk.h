// SPDX-License-Identifier: Apache-2.0
// A simulated disk and the queues that machines have on it. Requests take simulated time; some go
// wrong, each fault with its own probability.
//
// What a disk may do to those who use it:
//   fail a request once (a failed write may have been done, in part, or not at all), or every
//   request of one machine until that machine starts anew; have no room; be slow
//   lose, keep, tear (per 512 bytes) and reorder unflushed writes when the power fails
//   lie about flushes for a while; read or write another place than told; rot
// The last three only hit metadata: data on the origin has no checksums, so that nobody could tell,
// and that is no promise of csnap's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/memory_device.h"
#include "test/sim/coverage.h"
#include "test/sim/profile.h"
#include "test/sim/random.h"
#include "test/sim/scheduler.h"

namespace csnap::sim {

enum class DiskKind : std::uint8_t { origin, store, metadata };

struct DiskContext {
  Scheduler& scheduler;
  const Profile& profile;
  Coverage& coverage;
  Random random;
  bool calm = false;        // no faults: while a history is begun and ended
  bool recovering = false;  // the server is being started
  bool damaged = false;     // the medium, or what was read from it, was wrong at least once

  // Whether a fault strikes now that usually does with this probability: more often when the
  // history is aimed at it, and at what is under way.
  bool strikes(Fault fault, double usually) {
    constexpr double kAimed = 0.3;
    const bool now =
        profile.aim && profile.aim->fault == fault && coverage.under_way(profile.aim->op) > 0;
    return random.chance(now ? std::max(usually, kAimed) : usually);
  }
};

class Disk {
 public:
  Disk(DiskContext& context, DiskKind kind, std::uint64_t size);

  DiskKind kind() const { return kind_; }
  const std::shared_ptr<MemoryVolume>& volume() const { return volume_; }
  MemoryVolume& medium() { return *volume_; }
  // Writes that had completed by then are durable.
  Micros flushed_up_to() const { return flushed_up_to_; }
  bool lying() const;
  bool lied() const { return lied_; }  // and there was no honest flush since
  void start_lying(Micros time);
  // The power fails for everybody.
  void cut_power(Random& random);
  // Damage at rest: one bit of a block of metadata.
  bool rot(Random& random);
  // Metadata regions where damage would be no different from a torn tail.
  std::function<bool(std::uint64_t offset, std::uint64_t length)> spared;

  static bool is_metadata(std::span<const std::byte> block);

 private:
  friend class DiskPort;
  DiskContext& context_;
  const DiskKind kind_;
  std::shared_ptr<MemoryVolume> volume_;
  Micros flushed_up_to_ = 0;
  Micros lies_until_ = 0;
  bool lied_ = false;  // and no honest flush since
  Micros lied_at_ = 0;
};

// One machine's queue.
class DiskPort : public Device {
 public:
  // Asked before each request, and after it was handed to the disk: the machine may die there.
  using Hook = std::function<void(const DiskPort&, const IoRequest&, bool submitted)>;

  DiskPort(Disk& disk, bool server, Hook hook);
  ~DiskPort() override = default;

  const std::string& name() const override { return inner_.name(); }
  std::uint64_t size() const override { return inner_.size(); }
  std::uint32_t alignment() const override { return inner_.alignment(); }
  bool read_only() const override { return false; }
  void submit(IoRequest request) override;
  void kick() override {}
  std::size_t poll() override;
  std::size_t wait() override;
  std::size_t in_flight() const override { return inner_.in_flight() + own_.size(); }
  Result<std::unique_ptr<Device>> share() override;

  // The machine died: what it submits from now on goes nowhere.
  void freeze() { frozen_ = true; }
  bool dead() const { return dead_; }
  // kill -9: what was submitted reaches the medium.
  void abandon();
  std::optional<Micros> next_due() const;
  Disk& disk() const { return disk_; }

 private:
  struct Own {
    Micros due;
    std::function<void(Status)> done;
    Status status;
  };
  Micros latency(const IoRequest& request);
  void finish(IoRequest& request, Status status);
  void struck(Fault fault) { disk_.context_.coverage.struck(fault); }
  bool fail(IoRequest& request);
  bool fail_write(IoRequest& request);
  bool lie(IoRequest& request);
  void misdirect(IoRequest& request);
  std::size_t deliver_own(bool all);

  Disk& disk_;
  const bool server_;
  Hook hook_;
  MemoryDevice inner_;
  std::vector<Own> own_;  // by due
  bool frozen_ = false;
  bool dead_ = false;
};

}  // namespace csnap::sim
