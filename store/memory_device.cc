// SPDX-License-Identifier: Apache-2.0
#include "store/memory_device.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "store/device_request.h"

namespace csnap {

MemoryVolume::MemoryVolume(std::string name, std::uint64_t size, std::uint32_t alignment)
    : name_(std::move(name)), size_(size), alignment_(alignment) {
  assert(alignment == 512 || alignment == 4096);
  assert(size % alignment == 0);
}

std::shared_ptr<MemoryVolume> MemoryVolume::clone() const {
  auto copy = std::make_shared<MemoryVolume>(name_, size_, alignment_);
  const std::lock_guard lock(mutex_);
  copy->durable_ = durable_;
  copy->current_ = current_;
  copy->in_flight_ = in_flight_;
  copy->completed_ = completed_;
  copy->next_id_ = next_id_;
  copy->completions_ = completions_;
  copy->crashes_ = crashes_;
  copy->counters_ = counters_;
  return copy;
}

void MemoryVolume::copy_out(std::uint64_t offset, std::span<std::byte> out) const {
  assert(offset <= size_ && out.size() <= size_ - offset);
  while (!out.empty()) {
    const std::uint64_t index = offset / kPage;
    const std::size_t within = offset % kPage;
    const std::size_t n = std::min(out.size(), kPage - within);
    auto found = current_.find(index);
    if (found == current_.end()) {
      found = durable_.find(index);
      if (found == durable_.end()) found = current_.end();
    }
    if (found == current_.end())
      std::memset(out.data(), 0, n);
    else
      std::memcpy(out.data(), found->second->data() + within, n);
    out = out.subspan(n);
    offset += n;
  }
}

// Writes into pages; a page that is not there begins as the one of below, or as zeros.
void MemoryVolume::put(Pages& pages, const Pages* below, std::uint64_t offset,
                       std::span<const std::byte> data) {
  while (!data.empty()) {
    const std::uint64_t index = offset / kPage;
    const std::size_t within = offset % kPage;
    const std::size_t n = std::min(data.size(), kPage - within);
    Page& page = pages[index];
    if (!page && below != nullptr) {
      const auto under = below->find(index);
      if (under != below->end()) page = under->second;
    }
    if (!page)
      page = std::make_shared<Page::element_type>();
    else if (page.use_count() > 1)
      page = std::make_shared<Page::element_type>(*page);
    std::memcpy(page->data() + within, data.data(), n);
    data = data.subspan(n);
    offset += n;
  }
}

void MemoryVolume::peek(std::uint64_t offset, std::span<std::byte> out) const {
  const std::lock_guard lock(mutex_);
  copy_out(offset, out);
}

std::vector<std::byte> MemoryVolume::bytes(std::uint64_t offset, std::size_t length) const {
  std::vector<std::byte> out(length);
  peek(offset, out);
  return out;
}

void MemoryVolume::poke(std::uint64_t offset, std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  assert(offset <= size_ && data.size() <= size_ - offset);
  put(durable_, nullptr, offset, data);
  if (!completed_.empty()) put(current_, &durable_, offset, data);
}

std::vector<UnflushedWrite> MemoryVolume::take_unflushed() {
  std::vector<UnflushedWrite> writes;
  writes.reserve(completed_.size() + in_flight_.size());
  for (auto& write : completed_) writes.push_back(std::move(write));
  for (auto& write : in_flight_) writes.push_back(std::move(write));
  completed_.clear();
  in_flight_.clear();
  return writes;
}

void MemoryVolume::crash_ordered(std::vector<UnflushedWrite> writes, const Survives& survives) {
  for (const auto& write : writes) {
    const std::span<const std::byte> data(write.data);
    for (std::size_t at = 0; at < data.size(); at += kSector)
      if (survives(write, at / kSector))
        put(durable_, nullptr, write.offset + at, data.subspan(at, kSector));
  }
  current_.clear();
  ++crashes_;
}

void MemoryVolume::crash(const Survives& survives) {
  const std::lock_guard lock(mutex_);
  crash_ordered(take_unflushed(), survives);
}

void MemoryVolume::crash(std::mt19937_64& rng) {
  const std::lock_guard lock(mutex_);
  auto writes = take_unflushed();
  // Drawn by hand, not with std::shuffle or a distribution: one seed, one run, whatever the
  // library.
  for (std::size_t i = writes.size(); i > 1; --i) std::swap(writes[i - 1], writes[rng() % i]);
  enum class Fate { whole, lost, head, tail, anywhere };
  std::unordered_map<std::uint64_t, std::pair<Fate, std::size_t>> fates;
  for (const auto& write : writes)
    fates[write.id] = {static_cast<Fate>(rng() % 5), rng() % (write.data.size() / kSector)};
  crash_ordered(std::move(writes), [&](const UnflushedWrite& write, std::size_t sector) {
    const auto [fate, where] = fates.at(write.id);
    switch (fate) {
      case Fate::whole:
        return true;
      case Fate::lost:
        return false;
      case Fate::head:
        return sector <= where;
      case Fate::tail:
        return sector >= where;
      case Fate::anywhere:
        break;
    }
    return (rng() & 1) != 0;
  });
}

void MemoryVolume::crash_losing_all() {
  crash([](const UnflushedWrite&, std::size_t) { return false; });
}

void MemoryVolume::crash_keeping_all() {
  crash([](const UnflushedWrite&, std::size_t) { return true; });
}

std::uint64_t MemoryVolume::crashes() const {
  const std::lock_guard lock(mutex_);
  return crashes_;
}

MemoryVolume::Counters MemoryVolume::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

std::size_t MemoryVolume::unflushed() const {
  const std::lock_guard lock(mutex_);
  return completed_.size() + in_flight_.size();
}

std::uint64_t MemoryVolume::allocated_bytes() const {
  const std::lock_guard lock(mutex_);
  return (durable_.size() + current_.size()) * kPage;
}

std::uint64_t MemoryVolume::write_begin(std::uint64_t began, std::uint64_t offset,
                                        std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  if (began != crashes_) return 0;
  UnflushedWrite& write = in_flight_.emplace_back();
  write.id = next_id_++;
  write.offset = offset;
  write.data.assign(data.begin(), data.end());
  return write.id;
}

// now: the submitter's memory at the end, empty when it must not be looked at any more.
bool MemoryVolume::write_end(std::uint64_t began, std::uint64_t id,
                             std::span<const std::byte> now) {
  const std::lock_guard lock(mutex_);
  if (began != crashes_) return false;
  const auto write = std::find_if(in_flight_.begin(), in_flight_.end(),
                                  [id](const UnflushedWrite& w) { return w.id == id; });
  assert(write != in_flight_.end());
  // A real disk would have written either content.
  assert(now.empty() || std::memcmp(now.data(), write->data.data(), now.size()) == 0);
  put(current_, &durable_, write->offset, write->data);
  write->completed = true;
  ++counters_.writes;
  counters_.bytes_written += write->data.size();
  completed_.push_back(std::move(*write));
  in_flight_.erase(write);
  ++completions_;
  return true;
}

bool MemoryVolume::read(std::uint64_t began, std::uint64_t offset, std::span<std::byte> out) {
  const std::lock_guard lock(mutex_);
  if (began != crashes_) return false;
  copy_out(offset, out);
  ++counters_.reads;
  counters_.bytes_read += out.size();
  return true;
}

std::uint64_t MemoryVolume::flush_begin() const {
  const std::lock_guard lock(mutex_);
  return completions_;
}

bool MemoryVolume::flush_end(std::uint64_t began, std::uint64_t covers) {
  const std::lock_guard lock(mutex_);
  if (began != crashes_) return false;
  while (!completed_.empty() && completions_ - completed_.size() < covers) {
    put(durable_, nullptr, completed_.front().offset, completed_.front().data);
    completed_.pop_front();
  }
  if (completed_.empty()) current_.clear();
  ++counters_.flushes;
  return true;
}

MemoryDevice::MemoryDevice(std::shared_ptr<MemoryVolume> volume, MemoryDeviceOptions options)
    : volume_(std::move(volume)),
      options_(options),
      rng_(options.shuffle_seed.value_or(0)),
      began_(volume_->crashes()) {
  if (options_.event_fd) {
    event_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(event_fd_ >= 0);
  }
}

MemoryDevice::~MemoryDevice() {
  abandon();
  if (event_fd_ >= 0) ::close(event_fd_);
}

void MemoryDevice::submit(IoRequest request) {
  Queued queued;
  queued.refused = check_request(*this, request);
  if (queued.refused.ok()) {
    if (request.kind == IoKind::write)
      queued.token = volume_->write_begin(began_, request.offset, request.data);
    if (request.kind == IoKind::flush) queued.token = volume_->flush_begin();
  }
  if (options_.clock) queued.due = *options_.clock + options_.latency(request);
  queued.request = std::move(request);
  const auto later = std::find_if(queue_.rbegin(), queue_.rend(),
                                  [&](const Queued& other) { return other.due <= queued.due; });
  queue_.insert(later.base(), std::move(queued));
  if (event_fd_ >= 0) ::eventfd_write(event_fd_, 1);
}

Status MemoryDevice::carry_out(Queued& queued) {
  if (!queued.refused.ok()) return std::move(queued.refused);
  const IoRequest& request = queued.request;
  bool powered = false;
  switch (request.kind) {
    case IoKind::read:
      powered = volume_->read(began_, request.offset, request.data);
      break;
    case IoKind::write:
      powered = volume_->write_end(began_, queued.token, request.data);
      break;
    case IoKind::flush:
      powered = volume_->flush_end(began_, queued.token);
      break;
  }
  if (powered) return Status();
  return Status(Code::io_error,
                describe_request(name(), request.kind, request.offset, request.data.size()) +
                    ": power failed");
}

std::size_t MemoryDevice::poll() {
  if (event_fd_ >= 0) {
    eventfd_t ignored;
    ::eventfd_read(event_fd_, &ignored);
  }
  if (options_.clock) {
    std::size_t delivered = 0;
    for (; !queue_.empty() && queue_.front().due <= *options_.clock; ++delivered) deliver_front();
    return delivered;
  }
  // What done() submits is left for the next time, so that poll() ends.
  std::size_t left =
      options_.one_at_a_time ? std::min<std::size_t>(1, queue_.size()) : queue_.size();
  std::size_t delivered = 0;
  while (left-- > 0 && !queue_.empty()) {
    if (options_.shuffle_seed) std::swap(queue_.front(), queue_[rng_() % queue_.size()]);
    deliver_front();
    ++delivered;
  }
  if (event_fd_ >= 0 && !queue_.empty()) ::eventfd_write(event_fd_, 1);
  return delivered;
}

void MemoryDevice::deliver_front() {
  Queued queued = std::move(queue_.front());
  queue_.pop_front();
  Status status = carry_out(queued);
  queued.request.done(std::move(status));
}

std::size_t MemoryDevice::wait() {
  assert(in_flight() > 0);
  if (!options_.clock) return poll();
  deliver_front();
  return 1;
}

std::optional<std::uint64_t> MemoryDevice::next_due() const {
  if (queue_.empty()) return std::nullopt;
  return queue_.front().due;
}

Result<std::unique_ptr<Device>> MemoryDevice::share() {
  if (options_.shuffle_seed) options_.shuffle_seed = rng_();
  auto other = std::make_unique<MemoryDevice>(volume_, options_);
  other->began_ = began_;
  return std::unique_ptr<Device>(std::move(other));
}

void MemoryDevice::abandon() {
  for (const auto& queued : queue_)
    if (queued.request.kind == IoKind::write && queued.refused.ok())
      volume_->write_end(began_, queued.token, {});
  queue_.clear();
}

}  // namespace csnap
