// SPDX-License-Identifier: Apache-2.0
// Where a stream comes from: a file descriptor; what begins as zstd does is decompressed.
// Threading: one thread. Errors: io_error; corrupt for what zstd cannot read.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "store/status.h"

struct ZSTD_DCtx_s;

namespace csnap {

class ByteInput {
 public:
  // The descriptor stays the caller's. patience: so long a silence is a failure; 0: none is.
  ByteInput(int fd, std::string name, std::chrono::milliseconds patience = {});
  ~ByteInput();
  ByteInput(const ByteInput&) = delete;
  ByteInput& operator=(const ByteInput&) = delete;

  // At least one byte, but for the end of the input. REQUIRES: room.
  Result<std::size_t> read(std::span<std::byte> room);
  std::uint64_t taken() const { return taken_; }  // bytes that came in
  const std::string& name() const { return name_; }

 private:
  enum class Form : std::uint8_t { unknown, plain, zstd };

  Status await() const;
  Result<std::size_t> fill(std::span<std::byte> room);
  Status look();
  Result<std::size_t> decompress(std::span<std::byte> room);

  const int fd_;
  const std::string name_;
  const std::chrono::milliseconds patience_;
  Form form_ = Form::unknown;
  std::vector<std::byte> front_;  // read before the form was known, or to be decompressed
  std::size_t front_used_ = 0;
  ZSTD_DCtx_s* zstd_ = nullptr;
  std::uint64_t taken_ = 0;
};

}  // namespace csnap
