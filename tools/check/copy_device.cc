// SPDX-License-Identifier: Apache-2.0
#include "tools/check/copy_device.h"

#include <algorithm>
#include <utility>

#include "store/aligned_buffer.h"
#include "store/zeros.h"

namespace csnap {
namespace {

// The blocks that a request touches; blocks are StoreChunks of the set.
StoreRun blocks_of(const IoRequest& request) {
  const std::uint64_t from = request.offset / kBlockSize;
  const std::uint64_t to = (request.offset + request.data.size() + kBlockSize - 1) / kBlockSize;
  return {StoreChunk(from), to - from};
}

}  // namespace

CopyDevice::CopyDevice(Device& below, Device& copy)
    : below_(below), copy_(copy), copied_(below.size() / kBlockSize + 1) {}

std::uint32_t CopyDevice::alignment() const {
  return std::max(below_.alignment(), copy_.alignment());
}

void CopyDevice::submit(IoRequest request) {
  const bool beyond = request.offset > size() || request.data.size() > size() - request.offset;
  if (request.kind == IoKind::read && (beyond || !copied_.overlaps(blocks_of(request))))
    below_.submit(std::move(request));
  else
    queue_.push_back(std::move(request));
}

std::size_t CopyDevice::poll() {
  return carry_out_queue() + below_.poll();
}

std::size_t CopyDevice::wait() {
  return queue_.empty() ? below_.wait() : carry_out_queue();
}

std::size_t CopyDevice::carry_out_queue() {
  std::size_t done = 0;
  for (auto queue = std::exchange(queue_, {}); !queue.empty(); queue.pop_front(), ++done) {
    const IoRequest& request = queue.front();
    request.done(carry_out(request));
  }
  return done;
}

Status CopyDevice::carry_out(const IoRequest& request) {
  if (request.kind == IoKind::flush) return flush_sync(copy_);
  if (request.kind == IoKind::read) return read_mixed(request);
  if (request.offset % kBlockSize != 0 || request.data.size() % kBlockSize != 0 ||
      request.offset > size() || request.data.size() > size() - request.offset)
    return Status(Code::out_of_range, name() + ": a write that its copy cannot take");
  CSNAP_TRY(write_sync(copy_, request.offset, request.data));
  copied_.insert(blocks_of(request));
  return {};
}

Status CopyDevice::read_mixed(const IoRequest& request) {
  const std::uint64_t end = request.offset + request.data.size();
  const std::uint64_t last = (end + kBlockSize - 1) / kBlockSize;
  for (std::uint64_t at = request.offset; at < end;) {
    const std::uint64_t block = at / kBlockSize;
    const bool ours = copied_.contains(StoreChunk(block));
    const std::uint64_t to = std::min(end, copied_.find(block, last, !ours) * kBlockSize);
    CSNAP_TRY(
        read_sync(ours ? copy_ : below_, at, request.data.subspan(at - request.offset, to - at)));
    at = to;
  }
  return {};
}

Status CopyDevice::copy_up(Run<BlockAddress> run) {
  constexpr std::uint64_t kAtOnce = 256;
  AlignedBuffer buffer(kAtOnce * kBlockSize);
  for (BlockAddress at = run.start; at < run.end(); at += std::min(kAtOnce, run.end() - at)) {
    const std::uint64_t count = std::min(kAtOnce, run.end() - at);
    const auto data = buffer.span().first(count * kBlockSize);
    CSNAP_TRY(read_sync(below_, at.value * kBlockSize, data));
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto block = data.subspan(i * kBlockSize, kBlockSize);
      // What is not written stays a hole.
      if (all_zero(block) || copied_.contains(StoreChunk((at + i).value))) continue;
      CSNAP_TRY(write_sync(copy_, (at + i).value * kBlockSize, block));
      copied_.insert({StoreChunk((at + i).value), 1});
    }
  }
  return flush_sync(copy_);
}

Result<std::unique_ptr<Device>> CopyDevice::share() {
  return Status(Code::unsupported, name() + ": a copy has one queue");
}

}  // namespace csnap
