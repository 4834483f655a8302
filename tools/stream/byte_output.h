// SPDX-License-Identifier: Apache-2.0
// Where a stream goes: bytes, compressed or not, at no more than a rate, to a file descriptor or
// wherever else.
// Threading: one thread. Errors: io_error, no_space; cancelled when the reader of a pipe is gone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "store/status.h"

struct ZSTD_CCtx_s;

namespace csnap {

// Lets through so many bytes a second, evenly; 0: as many as come. Sleeps.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;
  explicit RateLimit(std::uint64_t bytes_per_second) : rate_(bytes_per_second) {}
  // Most bytes to let through at once, so that they come evenly.
  std::size_t piece() const;
  void pass(std::size_t bytes);

 private:
  const std::uint64_t rate_;
  Clock::time_point next_{};  // when the next may pass
};

struct OutputOptions {
  bool compress = false;
  std::uint64_t bytes_per_second = 0;
};

class ByteOutput {
 public:
  // Takes all of them.
  using Sink = std::function<Status(std::span<const std::byte>)>;

  ByteOutput(Sink sink, const OutputOptions& options);
  // name: for messages. The descriptor stays the caller's.
  ByteOutput(int fd, std::string name, const OutputOptions& options);
  ~ByteOutput();
  ByteOutput(const ByteOutput&) = delete;
  ByteOutput& operator=(const ByteOutput&) = delete;

  Status write(std::span<const std::byte> bytes);
  // All that was written goes out.
  Status flush();
  // What was compressed goes out whole. Nothing may be written after it.
  Status finish();
  std::uint64_t written() const { return written_; }  // bytes that went out

 private:
  Status compress(std::span<const std::byte> bytes, int how);
  Status put(std::span<const std::byte> bytes);

  const Sink sink_;
  RateLimit limit_;
  ZSTD_CCtx_s* zstd_ = nullptr;  // null: not compressed
  std::vector<std::byte> compressed_;
  std::uint64_t written_ = 0;
};

}  // namespace csnap
