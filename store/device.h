// SPDX-License-Identifier: Apache-2.0
// A block device as csnap sees one: reads, writes and flushes are submitted, completions are
// delivered by poll() or wait(), on the thread that calls them, never from inside submit().
//
// Threading: a Device belongs to one thread at a time. share() gives another thread a queue of
// its own on the same volume.
// Ownership: the memory of a request belongs to the submitter and must live, unchanged for
// writes, until its done() ran. done() runs exactly once for every request, also after an error.
// A Device may be destroyed only when in_flight() is 0.
// Ordering: none between requests in flight. A flush makes durable every write whose done() ran
// before the flush was submitted, and promises nothing of others.
// Errors: io_error with device, offset and cause; out_of_range; no_space for a file system that
// is full. A short transfer is continued by the device and never seen by the submitter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "store/status.h"

namespace csnap {

enum class IoKind : std::uint8_t { read, write, flush };

struct IoRequest {
  IoKind kind = IoKind::flush;
  std::uint64_t offset = 0;          // bytes; multiple of alignment(); ignored by flush
  std::span<std::byte> data;         // address and length multiples of alignment(); empty for flush
  std::function<void(Status)> done;  // may submit more
};

// Bytes that may be other than zeros.
struct DataExtent {
  std::uint64_t start = 0, end = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  virtual const std::string& name() const = 0;  // for messages: what the user called it
  virtual std::uint64_t size() const = 0;       // bytes
  virtual std::uint32_t alignment() const = 0;  // bytes, 512 or 4096
  virtual bool read_only() const = 0;
  // Does no page cache of this host come between?
  virtual bool direct() const { return true; }

  // Queues the request; may leave it unsent until kick(), poll() or wait().
  virtual void submit(IoRequest request) = 0;
  // Sends what is queued.
  virtual void kick() = 0;
  // Sends what is queued and delivers the completions there are. Returns how many. Never blocks.
  virtual std::size_t poll() = 0;
  // As poll(), but blocks until there is at least one. REQUIRES: in_flight() > 0.
  virtual std::size_t wait() = 0;
  // Requests submitted whose done() has not run.
  virtual std::size_t in_flight() const = 0;
  // Becomes readable when poll() may have something to deliver; -1 if the device has no such thing
  // (then the owner must poll). poll() and wait() reset it.
  virtual int event_fd() const { return -1; }
  virtual Result<std::unique_ptr<Device>> share() = 0;

  // One request, carried out while the caller waits: less work than submit() and wait() where the
  // system can do it in one call. REQUIRES: nothing else is in flight whose done() may not run now.
  virtual Status transfer(IoKind kind, std::uint64_t offset, std::span<std::byte> data);

  // Where data begins at or after `offset`, as the file system knows it: what lies before that
  // reads as zeros, and of what lies from its end on nothing is said. size(), size() when there is
  // none. At multiples of alignment(); a device that cannot tell has data everywhere.
  // REQUIRES: offset <= size(). Blocks for as long as directories take to be read.
  virtual Result<DataExtent> next_data(std::uint64_t offset);
  // Can bytes be made zeros without being written?
  virtual bool punches() const { return false; }
  // Makes them read as zeros, and gives back the space that they take. Blocks. REQUIRES: punches();
  // within size(); multiples of alignment().
  virtual Status punch(std::uint64_t offset, std::uint64_t length);
};

// transfer() for tools and for start-up.
// Memory that is not aligned goes through a copy; offset and length must be aligned all the same.
Status read_sync(Device& device, std::uint64_t offset, std::span<std::byte> data);
Status write_sync(Device& device, std::uint64_t offset, std::span<const std::byte> data);
Status flush_sync(Device& device);

}  // namespace csnap
