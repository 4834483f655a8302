// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/byte_output.h"

#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <thread>
#include <utility>

#include "store/errno_status.h"

namespace csnap {
namespace {

constexpr int kLevel = 3;

Status write_to(int fd, const std::string& name, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE)
      return Status(Code::cancelled, name + ": whoever reads the stream has gone");
    if (n < 0) return errno_status(errno, name + ": cannot be written to");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

std::size_t RateLimit::piece() const {
  if (rate_ == 0) return SIZE_MAX;
  return std::max<std::uint64_t>(rate_ / 20, 64);
}

void RateLimit::pass(std::size_t bytes) {
  if (rate_ == 0) return;
  std::this_thread::sleep_until(next_);
  // What was not used in the past is not made up for.
  const auto cost =
      std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(rate_));
  next_ = std::max(next_, Clock::now()) + std::chrono::duration_cast<Clock::duration>(cost);
}

ByteOutput::ByteOutput(int fd, std::string name, const OutputOptions& options)
    : ByteOutput([fd, name = std::move(name)](
                     std::span<const std::byte> bytes) { return write_to(fd, name, bytes); },
                 options) {}

ByteOutput::ByteOutput(Sink sink, const OutputOptions& options)
    : sink_(std::move(sink)), limit_(options.bytes_per_second) {
  if (!options.compress) return;
  zstd_ = ZSTD_createCCtx();
  if (zstd_ == nullptr) throw std::bad_alloc();
  ZSTD_CCtx_setParameter(zstd_, ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(zstd_, ZSTD_c_checksumFlag, 1);
  compressed_.resize(ZSTD_CStreamOutSize());
}

ByteOutput::~ByteOutput() {
  ZSTD_freeCCtx(zstd_);
}

Status ByteOutput::put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), limit_.piece()));
    limit_.pass(piece.size());
    CSNAP_TRY(sink_(piece));
    written_ += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

// how: a ZSTD_EndDirective.
Status ByteOutput::compress(std::span<const std::byte> bytes, int how) {
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (;;) {
    ZSTD_outBuffer out{compressed_.data(), compressed_.size(), 0};
    const std::size_t left =
        ZSTD_compressStream2(zstd_, &out, &in, static_cast<ZSTD_EndDirective>(how));
    if (ZSTD_isError(left) != 0)
      return Status(Code::internal, std::string("zstd: ") + ZSTD_getErrorName(left));
    CSNAP_TRY(put(std::span(compressed_).first(out.pos)));
    if (how == ZSTD_e_continue ? in.pos == in.size : left == 0) return {};
  }
}

Status ByteOutput::write(std::span<const std::byte> bytes) {
  return zstd_ != nullptr ? compress(bytes, ZSTD_e_continue) : put(bytes);
}

Status ByteOutput::flush() {
  return zstd_ != nullptr ? compress({}, ZSTD_e_flush) : Status();
}

Status ByteOutput::finish() {
  return zstd_ != nullptr ? compress({}, ZSTD_e_end) : Status();
}

}  // namespace csnap
