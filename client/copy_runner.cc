// SPDX-License-Identifier: Apache-2.0
#include "client/copy_runner.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "client/io_batch.h"
#include "client/signals_blocked.h"
#include "store/crc.h"

namespace csnap {

namespace {

constexpr int kThreads = 4;

}  // namespace

CopyRunner::CopyRunner(const SessionInfo& info, VolumeState& state, VolumeSession& session,
                       QueuePool& origin, QueuePool& store)
    : info_(info), state_(state), session_(session), origin_(origin), store_(store) {
  const SignalsBlocked blocked;
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { run(); });
  session_.offer_copies([this](const CopyTask& task) { add(task); });
}

CopyRunner::~CopyRunner() {
  session_.withdraw_copies();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void CopyRunner::add(const CopyTask& task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(task);
  }
  changed_.notify_one();
}

void CopyRunner::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const CopyTask task = std::move(tasks_.front());
    tasks_.pop_front();
    const bool wanted = !ending_;
    lock.unlock();
    session_.copied(task.id,
                    wanted ? copy(task) : Status(Code::cancelled, "the volume is being closed"));
    lock.lock();
  }
}

Status CopyRunner::allowed(const CopyTask& task) const {
  if (state_.may_write(task.generation)) return {};
  return Status(Code::stale, "the lease is over");
}

CopyRunner::Checksums CopyRunner::copy(const CopyTask& task) {
  const std::size_t size = task.to.count * info_.chunk_size;
  BounceBuffer buffer(size);
  const auto data = buffer.first(size);
  CSNAP_TRY(allowed(task));
  CSNAP_TRY(read(task, data));
  std::vector<std::uint32_t> crcs;
  for (std::uint64_t i = 0; i < task.to.count; ++i) {
    crcs.push_back(stored_checksum(crc32c(data.subspan(i * info_.chunk_size, info_.chunk_size))));
    if (task.crcs.empty() || task.crcs[i] == 0 || task.crcs[i] == crcs.back()) continue;
    return Status(Code::corrupt, store_.name() + ": the data of store chunk " +
                                     std::to_string(task.from + i) +
                                     " does not match its checksum");
  }
  CSNAP_TRY(write(task, data));
  return crcs;
}

Status CopyRunner::read(const CopyTask& task, std::span<std::byte> data) {
  QueuePool& source = task.from_origin ? origin_ : store_;
  const std::uint64_t offset = task.from * info_.chunk_size;
  // The origin's last chunk may be cut short; what lies beyond it reads as zeros.
  const std::uint64_t limit =
      task.from_origin ? std::min(source.size(), info_.size) : source.size();
  const std::uint64_t there =
      offset < limit ? std::min<std::uint64_t>(data.size(), limit - offset) : 0;
  if (there % source.alignment() != 0)
    return Status(Code::unsupported, source.name() + " does not end with a whole sector");
  std::memset(data.data() + there, 0, data.size() - there);
  CSNAP_ASSIGN(auto queue, source.take());
  IoBatch batch(std::move(queue));
  batch.read(offset, data.first(there));
  return batch.wait();
}

Status CopyRunner::write(const CopyTask& task, std::span<const std::byte> data) {
  CSNAP_ASSIGN(auto queue, store_.take());
  CSNAP_TRY(allowed(task));  // now that nothing is waited for any more
  IoBatch batch(std::move(queue));
  batch.write(task.to.start.value * info_.chunk_size, data);
  return batch.wait();
}

}  // namespace csnap
