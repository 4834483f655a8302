// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/copy.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "store/aligned_buffer.h"
#include "store/types.h"
#include "tools/admin/copy_end.h"

namespace csnap {
namespace {

constexpr std::uint64_t kPiece = 1 << 20;
constexpr std::size_t kThreads = 8;

class Copy {
 public:
  Copy(CopyEnd& source, CopyEnd& destination)
      : source_(source), destination_(destination), size_(source.size()) {}

  // By as many threads as there are; progress may be empty.
  void run(const std::function<void(double)>& progress) {
    // What the destination holds now: nothing, if it is empty.
    AlignedBuffer wanted(kPiece), there(kPiece);
    while (!failed_) {
      const std::uint64_t offset = next_.fetch_add(kPiece);
      if (offset >= size_) return;
      const auto length = static_cast<std::size_t>(std::min(kPiece, size_ - offset));
      if (Status status = copy(offset, wanted.span().first(length), there.span().first(length));
          !status.ok())
        fail(std::move(status));
      done_ += length;
      if (progress) progress(static_cast<double>(done_) / static_cast<double>(size_));
    }
  }

  Status status() const { return status_; }
  std::uint64_t written() const { return written_; }

 private:
  Status copy(std::uint64_t offset, std::span<std::byte> wanted, std::span<std::byte> there) {
    CSNAP_TRY(source_.read(offset, wanted));
    if (!destination_.empty()) CSNAP_TRY(destination_.read(offset, there));
    for (std::size_t at = 0; at < wanted.size();) {
      const std::size_t from = at;
      while (at < wanted.size() && differs(wanted, there, at)) at += kBlockSize;
      const std::size_t end = std::min(at, wanted.size());
      if (end > from) {
        CSNAP_TRY(destination_.write(offset + from, wanted.subspan(from, end - from)));
        written_ += end - from;
      }
      at += kBlockSize;
    }
    return {};
  }

  static bool differs(std::span<const std::byte> wanted, std::span<const std::byte> there,
                      std::size_t at) {
    const std::size_t length = std::min<std::size_t>(kBlockSize, wanted.size() - at);
    return std::memcmp(wanted.data() + at, there.data() + at, length) != 0;
  }

  void fail(Status status) {
    const std::lock_guard lock(mutex_);
    if (!failed_) status_ = std::move(status);
    failed_ = true;
  }

  CopyEnd& source_;
  CopyEnd& destination_;
  const std::uint64_t size_;
  std::atomic<std::uint64_t> next_{0}, done_{0}, written_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  Status status_;  // the first failure
};

}  // namespace

Result<CopyOutcome> copy_volume(const CopyRequest& request) {
  CSNAP_ASSIGN(const auto source, open_source(request.source, request.addresses));
  CSNAP_ASSIGN(Destination destination,
               open_destination(request.destination, request.addresses, *source, request.force));
  Copy copy(*source, *destination.end);
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < kThreads; ++i) threads.emplace_back([&copy] { copy.run(nullptr); });
  copy.run(request.progress);
  for (auto& thread : threads) thread.join();
  CSNAP_TRY(copy.status());
  CSNAP_TRY(destination.end->flush());
  CopyOutcome outcome;
  outcome.destination = destination.name;
  outcome.size = source->size();
  outcome.written = copy.written();
  outcome.made = !std::exchange(destination.made, "").empty();
  return outcome;
}

}  // namespace csnap
