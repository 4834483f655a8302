// SPDX-License-Identifier: Apache-2.0
#include "server/copier.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

#include "store/crc.h"

namespace csnap {
namespace {

// Metadata blocks kept free beyond what changes on their way may need, so that a full store can
// still delete a snapshot.
constexpr std::uint64_t kSpareBlocks = 64;
constexpr std::uint64_t kBlocksPerUnit = 2;

std::uint64_t source_of(const CopyJob& job) {
  return job.from_origin ? job.chunks.start.value : job.from.value;
}

bool in_order(const CopyJob& a, const CopyJob& b) {
  if (a.from_origin != b.from_origin) return a.from_origin;
  return source_of(a) < source_of(b);
}

bool continues(const CopyJob& a, const CopyJob& b) {
  return a.from_origin == b.from_origin && source_of(a) + a.chunks.count == source_of(b);
}

}  // namespace

Copier::Copier(StoreState& state, Device& origin, Device& store, std::size_t memory)
    : state_(state),
      origin_(origin),
      store_(store),
      memory_left_(std::max<std::size_t>(memory, 2 * kMaxTransfer)) {}

std::uint64_t Copier::max_job_chunks() const {
  return std::min<std::uint64_t>(kMaxRecordRun, kMaxTransfer >> state_.superblock().chunk_shift);
}

void Copier::start(std::uint64_t pending_units) {
  if (wanted_.empty() || waiting_for_block_) {
    run_queue();
    return;
  }
  std::vector<CopyJob> jobs = std::exchange(wanted_, {});
  std::stable_sort(jobs.begin(), jobs.end(), in_order);
  const std::uint64_t leave = kSpareBlocks + kBlocksPerUnit * (pending_units + jobs.size());
  std::size_t first = 0;
  while (first < jobs.size()) {
    if (place(jobs, first, leave)) continue;
    // A bitmap block has to be read first; the rest waits for it.
    wanted_.insert(wanted_.begin(),
                   std::make_move_iterator(jobs.begin() + static_cast<long>(first)),
                   std::make_move_iterator(jobs.end()));
    break;
  }
  run_queue();
}

// Makes one transfer of the jobs from `first` on. false: nothing can be placed now.
bool Copier::place(std::vector<CopyJob>& jobs, std::size_t& first, std::uint64_t leave) {
  const unsigned shift = state_.superblock().chunk_shift;
  std::size_t last = first + 1;
  std::uint64_t wanted = jobs[first].chunks.count;
  while (last < jobs.size() && continues(jobs[last - 1], jobs[last]) &&
         (wanted + jobs[last].chunks.count) << shift <= kMaxTransfer)
    wanted += jobs[last++].chunks.count;

  Result<StoreRun> place = state_.data().reserve_chunks(wanted, leave);
  if (place.status().code() == Code::need_block) {
    waiting_for_block_ = true;
    state_.cache().fetch(BlockAddress(place.status().detail()), [this](Status s) {
      waiting_for_block_ = false;
      if (s.ok()) return;
      for (auto& job : std::exchange(wanted_, {})) job.done(s);
    });
    return false;
  }
  if (!place.ok()) {
    jobs[first++].done(place.status());
    return true;
  }
  auto transfer = std::make_shared<Transfer>();
  transfer->from_origin = jobs[first].from_origin;
  transfer->from = source_of(jobs[first]);
  transfer->to = *place;
  for (std::uint64_t left = place->count; left > 0; ++first) {
    CopyJob& job = jobs[first];
    job.chunks.count = std::min(job.chunks.count, left);
    left -= job.chunks.count;
    transfer->jobs.push_back(std::move(job));
  }
  queued_.push_back(std::move(transfer));
  return true;
}

void Copier::run_queue() {
  while (!queued_.empty()) {
    const std::size_t bytes = queued_.front()->to.count << state_.superblock().chunk_shift;
    if (bytes > memory_left_) return;
    memory_left_ -= bytes;
    const TransferPtr t = std::move(queued_.front());
    queued_.pop_front();
    t->buffer = take_buffer(bytes);
    ++transfers_;
    read(t);
  }
}

void Copier::read(const TransferPtr& t) {
  const unsigned shift = state_.superblock().chunk_shift;
  Device& device = t->from_origin ? origin_ : store_;
  std::span<std::byte> data = t->buffer.span().first(t->to.count << shift);
  const std::uint64_t offset = t->from << shift;
  // The origin's last chunk may be cut short; what lies beyond it reads as zeros.
  const std::uint64_t limit =
      t->from_origin ? std::min(origin_.size(), state_.superblock().origin_size) : store_.size();
  const std::uint64_t there =
      offset < limit ? std::min<std::uint64_t>(data.size(), limit - offset) : 0;
  const std::uint64_t whole = there / device.alignment() * device.alignment();
  std::memset(data.data() + whole, 0, data.size() - whole);
  device.submit({IoKind::read, offset, data.first(whole), [this, t](Status s) { write(t, s); }});
}

void Copier::write(const TransferPtr& t, const Status& read_status) {
  if (!read_status.ok())
    return finish(t, read_status.with_context("copying chunks before they change"), {});
  const unsigned shift = state_.superblock().chunk_shift;
  const std::span<std::byte> data = t->buffer.span().first(t->to.count << shift);
  std::vector<std::uint32_t> crcs;
  crcs.reserve(t->to.count);
  for (std::uint64_t i = 0; i < t->to.count; ++i)
    crcs.push_back(stored_checksum(crc32c(data.subspan(i << shift, std::size_t{1} << shift))));
  const Status sound = verify_source(*t, crcs);
  if (!sound.ok()) return finish(t, sound, {});
  store_.submit({IoKind::write, t->to.start.value << shift, data,
                 [this, t, crcs = std::move(crcs)](Status s) mutable {
                   finish(t, s.with_context("copying chunks before they change"), std::move(crcs));
                 }});
}

// A copy of a damaged chunk must not come out with a fresh, valid checksum.
Status Copier::verify_source(const Transfer& t, const std::vector<std::uint32_t>& crcs) {
  if (t.from_origin) return {};
  for (std::uint64_t i = 0; i < t.to.count; ++i) {
    const Result<std::uint32_t> known = state_.checksums().get(StoreChunk(t.from + i));
    // Not in memory: whoever asked for the copy looked it up just before, so this is rare.
    if (!known.ok() || *known == 0 || *known == crcs[i]) continue;
    return Status(Code::corrupt, store_.name() + ": the data of store chunk " +
                                     std::to_string(t.from + i) +
                                     " does not match its checksum; it was not copied");
  }
  return {};
}

void Copier::finish(const TransferPtr& t, const Status& status, std::vector<std::uint32_t> crcs) {
  const std::size_t bytes = t->to.count << state_.superblock().chunk_shift;
  give_buffer(std::move(t->buffer));
  memory_left_ += bytes;
  --transfers_;
  if (status.ok()) copied_chunks_ += t->to.count;
  if (!status.ok()) state_.data().unreserve(t->to);
  std::uint64_t at = 0;
  for (auto& job : t->jobs) {
    const std::uint64_t count = job.chunks.count;
    if (status.ok()) {
      const auto from = crcs.begin() + static_cast<long>(at);
      job.done(Copied{{t->to.start + at, count}, {from, from + static_cast<long>(count)}});
    } else {
      job.done(status);
    }
    at += count;
  }
  run_queue();
}

AlignedBuffer Copier::take_buffer(std::size_t bytes) {
  const std::size_t size = std::bit_ceil(bytes);
  auto& spare = spare_[size];
  if (spare.empty()) return AlignedBuffer(size);
  AlignedBuffer buffer = std::move(spare.back());
  spare.pop_back();
  return buffer;
}

void Copier::give_buffer(AlignedBuffer buffer) {
  constexpr std::size_t kSparePerSize = 16;
  auto& spare = spare_[buffer.size()];
  if (spare.size() < kSparePerSize) spare.push_back(std::move(buffer));
}

}  // namespace csnap
