// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/byte_input.h"

#include <poll.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "store/endian.h"
#include "store/errno_status.h"

namespace csnap {

ByteInput::ByteInput(int fd, std::string name, std::chrono::milliseconds patience)
    : fd_(fd), name_(std::move(name)), patience_(patience) {}

ByteInput::~ByteInput() {
  ZSTD_freeDCtx(zstd_);
}

// A failure to wait is one to read, too, which is told then.
Status ByteInput::await() const {
  if (patience_.count() == 0) return {};
  for (;;) {
    pollfd ready{fd_, POLLIN, 0};
    const int n = ::poll(&ready, 1, static_cast<int>(patience_.count()));
    if (n < 0 && errno == EINTR) continue;
    if (n != 0) return {};
    return Status(Code::io_error,
                  name_ + ": nothing came for " +
                      std::to_string(duration_cast<std::chrono::seconds>(patience_).count()) +
                      " s, so it counts as cut off");
  }
}

Result<std::size_t> ByteInput::fill(std::span<std::byte> room) {
  CSNAP_TRY(await());
  for (;;) {
    const ssize_t n = ::read(fd_, room.data(), room.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status(errno, name_ + ": cannot be read");
    taken_ += static_cast<std::uint64_t>(n);
    return static_cast<std::size_t>(n);
  }
}

Status ByteInput::look() {
  front_.resize(sizeof(Le32));
  std::size_t have = 0;
  while (have < front_.size()) {
    CSNAP_ASSIGN(const std::size_t n, fill(std::span(front_).subspan(have)));
    if (n == 0) break;
    have += n;
  }
  front_.resize(have);
  form_ = Form::plain;
  if (have < sizeof(Le32) ||
      view_as<Le32>(std::span<const std::byte>(front_)).get() != ZSTD_MAGICNUMBER)
    return {};
  form_ = Form::zstd;
  zstd_ = ZSTD_createDCtx();
  if (zstd_ == nullptr) throw std::bad_alloc();
  front_.reserve(ZSTD_DStreamInSize());
  return {};
}

Result<std::size_t> ByteInput::decompress(std::span<std::byte> room) {
  for (;;) {
    if (front_used_ == front_.size()) {
      front_.resize(ZSTD_DStreamInSize());
      CSNAP_ASSIGN(const std::size_t n, fill(front_));
      front_.resize(n);
      front_used_ = 0;
    }
    const bool ended = front_.empty();
    ZSTD_inBuffer in{front_.data(), front_.size(), front_used_};
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    const std::size_t left = ZSTD_decompressStream(zstd_, &out, &in);
    if (ZSTD_isError(left) != 0)
      return Status(Code::corrupt, name_ + ": cannot be decompressed: " + ZSTD_getErrorName(left));
    front_used_ = in.pos;
    if (out.pos > 0) return out.pos;
    if (ended) return std::size_t{0};
  }
}

Result<std::size_t> ByteInput::read(std::span<std::byte> room) {
  assert(!room.empty());
  if (form_ == Form::unknown) CSNAP_TRY(look());
  if (form_ == Form::zstd) return decompress(room);
  if (front_used_ == front_.size()) return fill(room);
  const std::size_t n = std::min(room.size(), front_.size() - front_used_);
  std::memcpy(room.data(), front_.data() + front_used_, n);
  front_used_ += n;
  return n;
}

}  // namespace csnap
