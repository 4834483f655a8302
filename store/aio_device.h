// SPDX-License-Identifier: Apache-2.0
// A file or block device through the kernel's asynchronous I/O (libaio), with O_DIRECT where the
// file system has it.
//
// Requests over 1 MiB go to the kernel in pieces; short transfers are continued; when the
// kernel's queue is full, requests wait here. A flush is IO_CMD_FDSYNC, or where the kernel refuses
// that, fdatasync() in a thread of the device's own; either way it completes by poll().
// event_fd() is an eventfd that the kernel signals. After submit() the owner must kick().
// Threading, ownership, errors: as every Device. share() opens another queue on the same open file.
#pragma once

#include <memory>
#include <string>

#include "store/device.h"
#include "store/device_file.h"

namespace csnap {

struct AioOptions {
  bool read_only = false;
  bool inspect = false;  // what is left over of a sector at the end is not there, and no error
  bool direct = true;    // false: through the page cache
  unsigned queue_depth = 256;
  bool flush_in_thread = false;  // without asking the kernel first
};

class AioDevice : public Device {
 public:
  // The largest piece that goes to the kernel as one.
  static constexpr std::size_t kMaxPiece = 1u << 20;

  static Result<std::unique_ptr<AioDevice>> open(const std::string& path, AioOptions options = {});
  ~AioDevice() override;

  const std::string& name() const override;
  std::uint64_t size() const override;
  std::uint32_t alignment() const override;
  bool read_only() const override;
  bool direct() const override;
  void submit(IoRequest request) override;
  void kick() override;
  std::size_t poll() override;
  std::size_t wait() override;
  std::size_t in_flight() const override;
  int event_fd() const override;
  Result<std::unique_ptr<Device>> share() override;
  // pread(), pwrite(), fdatasync().
  Status transfer(IoKind kind, std::uint64_t offset, std::span<std::byte> data) override;
  // Of a regular file: its holes. Where the file system makes none, punch() writes zeros.
  Result<DataExtent> next_data(std::uint64_t offset) override;
  bool punches() const override;
  Status punch(std::uint64_t offset, std::uint64_t length) override;

 private:
  class Impl;
  explicit AioDevice(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace csnap
