// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/copy.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "store/aligned_buffer.h"
#include "store/types.h"
#include "store/zeros.h"
#include "tools/admin/copy_end.h"
#include "tools/admin/copy_pieces.h"
#include "tools/replicate/stop.h"

namespace csnap {
namespace {

constexpr std::size_t kThreads = 8;
constexpr int kStopped = 5;  // the exit code of Code::cancelled

class Copy {
 public:
  Copy(CopyEnd& source, CopyEnd& destination, const StopSignal& stop)
      : destination_(destination),
        source_(source),
        stop_(stop),
        size_(source.size()),
        pieces_(source, destination) {}

  // By as many threads as there are; progress may be empty.
  void run(const std::function<void(double)>& progress) {
    // What the destination holds now: nothing, if it is empty.
    AlignedBuffer wanted(CopyPieces::kPiece), there(CopyPieces::kPiece);
    while (!failed_) {
      if (stop_.came()) return fail(Status(Code::cancelled, "ended by a signal"));
      const auto piece = pieces_.next();
      if (!piece.ok()) return fail(piece.status());
      if (!*piece) return;
      if (Status status = copy(**piece, wanted, there); !status.ok())
        return fail(std::move(status));
      if (progress) progress(static_cast<double>(pieces_.passed()) / static_cast<double>(size_));
    }
  }

  Status status() const { return status_; }
  std::uint64_t written() const { return written_; }

 private:
  enum class Todo : std::uint8_t { nothing, write, punch };

  Status copy(const CopyPieces::Piece& piece, AlignedBuffer& wanted_buffer,
              AlignedBuffer& there_buffer) {
    if (piece.zeros && destination_.punches()) return punch(piece.offset, piece.length);
    const auto wanted = wanted_buffer.span().first(piece.length);
    const auto there = there_buffer.span().first(piece.length);
    if (piece.zeros)
      std::fill(wanted.begin(), wanted.end(), std::byte{0});
    else
      CSNAP_TRY(source_.read(piece.offset, wanted));
    if (!destination_.empty()) CSNAP_TRY(destination_.read(piece.offset, there));
    for (std::size_t at = 0; at < wanted.size();) {
      const std::size_t from = at;
      const Todo todo = what_to_do(wanted, there, at);
      do at += kBlockSize;
      while (at < wanted.size() && what_to_do(wanted, there, at) == todo);
      const auto part = wanted.subspan(from, std::min(at, wanted.size()) - from);
      if (todo == Todo::punch) CSNAP_TRY(punch(piece.offset + from, part.size()));
      if (todo != Todo::write) continue;
      CSNAP_TRY(destination_.write(piece.offset + from, part));
      written_ += part.size();
    }
    return {};
  }

  Todo what_to_do(std::span<const std::byte> wanted, std::span<const std::byte> there,
                  std::size_t at) const {
    const auto block = wanted.subspan(at, std::min<std::size_t>(kBlockSize, wanted.size() - at));
    // Zeros that are there take space, which a hole does not.
    if (destination_.punches() && !destination_.empty() && all_zero(block)) return Todo::punch;
    const bool same = std::memcmp(block.data(), there.data() + at, block.size()) == 0;
    return same ? Todo::nothing : Todo::write;
  }

  // Unless it is a hole already.
  Status punch(std::uint64_t offset, std::uint64_t length) {
    CSNAP_ASSIGN(const DataExtent there, destination_.next_data(offset));
    if (there.start >= offset + length) return {};
    CSNAP_TRY(destination_.punch(offset, length));
    written_ += length;
    return {};
  }

  void fail(Status status) {
    const std::lock_guard lock(mutex_);
    if (!failed_) status_ = std::move(status);
    failed_ = true;
  }

  CopyEnd& destination_;
  CopyEnd& source_;
  const StopSignal& stop_;
  const std::uint64_t size_;
  CopyPieces pieces_;
  std::atomic<std::uint64_t> written_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  Status status_;  // the first failure
};

Status with_fate(const Status& why, const std::string& fate) {
  return Status(why.code(), why.message() + "; " + fate);
}

// made: what is to be removed when this fails.
Result<CopyOutcome> copy_between(const CopyRequest& request, const StopSignal& stop,
                                 MadeDevice& made) {
  CSNAP_ASSIGN(const auto source, open_source(request.source, request.addresses));
  CSNAP_ASSIGN(
      const Destination destination,
      open_destination(request.destination, request.addresses, *source, request.force, made));
  Copy copy(*source, *destination.end, stop);
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < kThreads; ++i) threads.emplace_back([&copy] { copy.run(nullptr); });
  copy.run(request.progress);
  for (auto& thread : threads) thread.join();
  Status status = copy.status();
  if (status.ok()) status = destination.end->flush();
  if (!status.ok() && made.nothing())
    return with_fate(status,
                     destination.name + ", which was there before, may hold a part of the copy");
  CSNAP_TRY(status);
  CopyOutcome outcome;
  outcome.destination = destination.name;
  outcome.size = source->size();
  outcome.written = copy.written();
  outcome.made = made.keep();
  return outcome;
}

std::string gone(const std::string& name) {
  return name + ", which was made for the copy, is gone again";
}

}  // namespace

Result<CopyOutcome> copy_volume(const CopyRequest& request) {
  const auto made = std::make_shared<MadeDevice>();
  // Where a device or a server does not answer, nobody comes back to take away what was made.
  const StopSignal stop([made, name = request.destination] {
    const bool removed = made->remove();
    std::fprintf(stderr, "csnap-admin: ended by a signal%s\n",
                 removed ? ("; " + gone(name)).c_str() : "");
    return kStopped;
  });
  auto outcome = copy_between(request, stop, *made);
  if (!outcome.ok() && made->remove())
    return with_fate(outcome.status(), gone(request.destination));
  return outcome;
}

}  // namespace csnap
