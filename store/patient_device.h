// SPDX-License-Identifier: Apache-2.0
// A device whose reads are asked for again when they fail: for tools that give up for good what
// they cannot read. Everything else goes through as it is.
// Threading: as the device below, which is the caller's and outlives it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "store/device.h"

namespace csnap {

class PatientDevice : public Device {
 public:
  static constexpr int kTries = 3;

  explicit PatientDevice(Device& below) : below_(below) {}

  const std::string& name() const override { return below_.name(); }
  std::uint64_t size() const override { return below_.size(); }
  std::uint32_t alignment() const override { return below_.alignment(); }
  bool read_only() const override { return below_.read_only(); }
  void submit(IoRequest request) override {
    if (request.kind == IoKind::read)
      read(std::move(request), kTries);
    else
      below_.submit(std::move(request));
  }
  void kick() override { below_.kick(); }
  std::size_t poll() override { return below_.poll(); }
  std::size_t wait() override { return below_.wait(); }
  std::size_t in_flight() const override { return below_.in_flight(); }
  int event_fd() const override { return below_.event_fd(); }
  Result<std::unique_ptr<Device>> share() override { return below_.share(); }

 private:
  void read(IoRequest request, int tries) {
    IoRequest attempt{IoKind::read, request.offset, request.data, {}};
    attempt.done = [this, tries, request = std::move(request)](const Status& status) mutable {
      if (status.code() == Code::io_error && tries > 1)
        read(std::move(request), tries - 1);
      else
        request.done(status);
    };
    below_.submit(std::move(attempt));
  }

  Device& below_;
};

}  // namespace csnap
