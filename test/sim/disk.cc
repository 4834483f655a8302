// SPDX-License-Identifier: Apache-2.0
#include "test/sim/disk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "store/aligned_buffer.h"
#include "store/block_format.h"
#include "store/device_request.h"

namespace csnap::sim {
namespace {

const char* disk_name(DiskKind kind) {
  switch (kind) {
    case DiskKind::origin:
      return "origin";
    case DiskKind::store:
      return "store";
    case DiskKind::metadata:
      break;
  }
  return "metadata";
}

constexpr std::uint64_t kBlock = 4096;

}  // namespace

Disk::Disk(DiskContext& context, DiskKind kind, std::uint64_t size)
    : context_(context),
      kind_(kind),
      volume_(std::make_shared<MemoryVolume>(disk_name(kind), size)) {}

bool Disk::is_metadata(std::span<const std::byte> block) {
  BlockHeader header;
  if (block.size() < sizeof(header)) return false;
  std::memcpy(&header, block.data(), sizeof(header));
  return (header.kind.get() & 0xFFFF) == (static_cast<std::uint32_t>(BlockKind::leaf) & 0xFFFF);
}

bool Disk::lying() const {
  return context_.scheduler.now() < lies_until_;
}

void Disk::start_lying(Micros time) {
  lies_until_ = std::max(lies_until_, context_.scheduler.now() + time);
}

void Disk::cut_power(Random& random) {
  if (lied_ && volume_->unflushed() > 0) context_.damaged = true;
  std::mt19937_64 rng(random.next());
  volume_->crash(rng);
  lies_until_ = 0;
  lied_ = false;
  flushed_up_to_ = context_.scheduler.now();
}

bool Disk::rot(Random& random) {
  std::vector<std::byte> block(kBlock);
  for (int attempt = 0; attempt < 64; ++attempt) {
    const std::uint64_t offset = random.below(volume_->size() / kBlock) * kBlock;
    volume_->peek(offset, block);
    if (!is_metadata(block) || (spared && spared(offset, kBlock))) continue;
    const std::uint64_t bit = random.below(8 * kBlock);
    block[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    volume_->poke(offset, block);
    context_.damaged = true;
    context_.coverage.struck(Fault::bit_rot);
    return true;
  }
  return false;
}

DiskPort::DiskPort(Disk& disk, bool server, Hook hook)
    : disk_(disk),
      server_(server),
      hook_(std::move(hook)),
      inner_(disk.volume_,
             MemoryDeviceOptions{.clock = &disk.context_.scheduler.now(),
                                 .latency = [this](const IoRequest& r) { return latency(r); }}) {}

// Never so long that I/O begun under a lease could outlive it: see margin_ms() in client/mapper.cc.
Micros DiskPort::latency(const IoRequest& request) {
  Random& random = disk_.context_.random;
  if (disk_.context_.profile.slow_homes && request.kind == IoKind::write && disk_.spared &&
      Disk::is_metadata(request.data) && !disk_.spared(request.offset, request.data.size()))
    return random.between(500, 1500) * kMilli;
  if (disk_.context_.profile.slow_flushes && request.kind == IoKind::flush)
    return random.between(1, 30) * kMilli;
  if (random.chance(disk_.context_.profile.slow_disk)) return random.between(1, 100 * kMilli);
  return random.between(10, 800);
}

void DiskPort::finish(IoRequest& request, Status status) {
  Own own{disk_.context_.scheduler.now() + latency(request), std::move(request.done),
          std::move(status)};
  const auto at =
      std::find_if(own_.begin(), own_.end(), [&](const Own& other) { return other.due > own.due; });
  own_.insert(at, std::move(own));
}

void DiskPort::submit(IoRequest request) {
  if (!frozen_ && hook_) hook_(*this, request, false);
  const auto error = [&](const char* why) {
    return Status(
        Code::io_error,
        describe_request(name(), request.kind, request.offset, request.data.size()) + ": " + why);
  };
  if (frozen_) return finish(request, error("the machine is dead"));
  DiskContext& context = disk_.context_;
  if (!context.calm) {
    if (!dead_ && context.strikes(Fault::device_dead, context.profile.device_dead)) {
      dead_ = true;
      struck(Fault::device_dead);
    }
    if (dead_) return finish(request, error("the device is gone"));
    if (request.kind == IoKind::flush ? lie(request) : fail(request)) return;
    misdirect(request);
  }
  const bool flush = request.kind == IoKind::flush;
  if (flush) {
    request.done = [this, began = context.scheduler.now(),
                    done = std::move(request.done)](Status status) {
      if (status.ok()) {
        disk_.flushed_up_to_ = std::max(disk_.flushed_up_to_, began);
        if (began >= disk_.lied_at_) disk_.lied_ = false;
      }
      done(std::move(status));
    };
  }
  const IoRequest seen{request.kind, request.offset, request.data, {}};
  inner_.submit(std::move(request));
  if (hook_) hook_(*this, seen, true);
}

bool DiskPort::lie(IoRequest& request) {
  DiskContext& context = disk_.context_;
  if (context.strikes(Fault::flush_error, context.profile.flush_error)) {
    struck(Fault::flush_error);
    finish(request, Status(Code::io_error, name() + ": flush: simulated error"));
    return true;
  }
  if (disk_.kind_ != DiskKind::origin &&
      context.strikes(Fault::lying_flush, context.profile.lying_flush))
    disk_.start_lying(context.random.between(1, 500 * kMilli));
  if (!disk_.lying()) return false;
  disk_.lied_ = true;
  disk_.lied_at_ = context.scheduler.now();
  struck(Fault::lying_flush);
  finish(request, Status());
  return true;
}

bool DiskPort::fail(IoRequest& request) {
  DiskContext& context = disk_.context_;
  if (request.kind == IoKind::write) return fail_write(request);
  if (!context.strikes(Fault::read_error, context.profile.read_error)) return false;
  struck(Fault::read_error);
  finish(request, Status(Code::io_error, describe_request(name(), request.kind, request.offset,
                                                          request.data.size()) +
                                             ": simulated error"));
  return true;
}

bool DiskPort::fail_write(IoRequest& request) {
  DiskContext& context = disk_.context_;
  if (disk_.kind_ != DiskKind::origin &&
      context.strikes(Fault::disk_full, context.profile.disk_full)) {
    struck(Fault::disk_full);
    finish(request, Status(Code::no_space, name() + ": simulated: no room for a write"));
    return true;
  }
  if (!context.strikes(Fault::write_error, context.profile.write_error)) return false;
  struck(Fault::write_error);
  const Status error(Code::io_error,
                     describe_request(name(), request.kind, request.offset, request.data.size()) +
                         ": simulated error");
  // So many blocks of it reach the disk all the same.
  const std::uint64_t done = context.random.below(request.data.size() / kBlock + 1) * kBlock;
  if (done == 0) {
    finish(request, error);
    return true;
  }
  request.data = request.data.first(done);
  request.done = [error, told = std::move(request.done)](const Status&) { told(error); };
  inner_.submit(std::move(request));
  return true;
}

void DiskPort::misdirect(IoRequest& request) {
  DiskContext& context = disk_.context_;
  if (!server_ || request.data.size() > 64 * kBlock) return;
  if (request.kind == IoKind::flush || disk_.kind_ == DiskKind::origin) return;
  const bool write = request.kind == IoKind::write;
  // Reads rarely in a recovery, which would come to nothing too often.
  const double rarely = context.recovering && !write ? 0.05 : 1;
  const Fault fault = write ? Fault::misdirected_write : Fault::misdirected_read;
  if (!context.strikes(fault, rarely * (write ? context.profile.misdirected_write
                                              : context.profile.misdirected_read)))
    return;
  // Metadata instead of metadata: see the head of disk.h.
  std::vector<std::byte> block(kBlock);
  const auto is_block = [&](std::uint64_t offset) {
    disk_.volume_->peek(offset, block);
    return Disk::is_metadata(block) && !(disk_.spared && disk_.spared(offset, kBlock));
  };
  if (!is_block(request.offset) || (write && !Disk::is_metadata(request.data))) return;
  for (int attempt = 0; attempt < 512; ++attempt) {
    const std::uint64_t offset = context.random.below(size() / kBlock) * kBlock;
    if (offset == request.offset || !is_block(offset)) continue;
    if (offset + request.data.size() > size() || !is_block(offset + request.data.size() - kBlock))
      continue;
    request.offset = offset;
    context.damaged = true;
    struck(fault);
    return;
  }
}

std::size_t DiskPort::deliver_own(bool all) {
  std::size_t delivered = 0;
  while (!own_.empty() && (all || own_.front().due <= disk_.context_.scheduler.now())) {
    const Own own = std::move(own_.front());
    own_.erase(own_.begin());
    ++delivered;
    own.done(own.status);
    if (all) break;
  }
  return delivered;
}

std::size_t DiskPort::poll() {
  const std::size_t own = deliver_own(false);
  return own + inner_.poll();
}

std::size_t DiskPort::wait() {
  if (inner_.in_flight() > 0 && (own_.empty() || *inner_.next_due() <= own_.front().due))
    return inner_.wait();
  return deliver_own(true);
}

Result<std::unique_ptr<Device>> DiskPort::share() {
  return Status(Code::unsupported, "one queue a machine");
}

void DiskPort::abandon() {
  inner_.abandon();
  own_.clear();
}

std::optional<Micros> DiskPort::next_due() const {
  std::optional<Micros> due = inner_.next_due();
  if (!own_.empty() && (!due || own_.front().due < *due)) due = own_.front().due;
  return due;
}

}  // namespace csnap::sim
