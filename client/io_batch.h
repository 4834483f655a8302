// SPDX-License-Identifier: Apache-2.0
// Requests to one queue of a device that are waited for together. One alone is carried out by the
// thread that waits for it, without the queue: most requests of applications are, and it is
// cheaper.
//
// Threading: one thread. The destructor waits, so that no memory is touched after it.
#pragma once

#include <optional>
#include <utility>

#include "client/queue_pool.h"

namespace csnap {

class IoBatch {
 public:
  explicit IoBatch(QueuePool::Queue queue) : queue_(std::move(queue)) {}
  IoBatch(const IoBatch&) = delete;
  IoBatch& operator=(const IoBatch&) = delete;
  ~IoBatch() { static_cast<void>(wait()); }  // who wants the outcome has called wait()

  void read(std::uint64_t offset, std::span<std::byte> data) { submit(IoKind::read, offset, data); }
  void write(std::uint64_t offset, std::span<const std::byte> data) {
    // A device does not change what it is to write.
    submit(IoKind::write, offset, {const_cast<std::byte*>(data.data()), data.size()});
  }
  void flush() { submit(IoKind::flush, 0, {}); }
  void kick() {
    queue_alone();
    queue_->kick();
  }
  // Of all requests since the last wait(): ok, or the first failure.
  Status wait() {
    if (alone_ && queue_->in_flight() == 0) {
      const Request request = *std::exchange(alone_, std::nullopt);
      note(queue_->transfer(request.kind, request.offset, request.data));
    }
    queue_alone();
    while (queue_->in_flight() > 0) queue_->wait();
    return std::exchange(status_, Status());
  }

 private:
  struct Request {
    IoKind kind;
    std::uint64_t offset;
    std::span<std::byte> data;
  };

  void submit(IoKind kind, std::uint64_t offset, std::span<std::byte> data) {
    queue_alone();
    if (queue_->in_flight() == 0)
      alone_ = {kind, offset, data};
    else
      queue(kind, offset, data);
  }
  void queue_alone() {
    if (const auto request = std::exchange(alone_, std::nullopt))
      queue(request->kind, request->offset, request->data);
  }
  void queue(IoKind kind, std::uint64_t offset, std::span<std::byte> data) {
    queue_->submit({kind, offset, data, [this](Status status) { note(std::move(status)); }});
  }
  void note(Status status) {
    if (!status.ok() && status_.ok()) status_ = std::move(status);
  }

  QueuePool::Queue queue_;
  std::optional<Request> alone_;  // not given to the queue yet
  Status status_;
};

}  // namespace csnap
