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

bool continues(const CopyJob& a, const CopyJob& b) {
  return a.from_origin == b.from_origin && a.verify_only == b.verify_only && !a.alone && !b.alone &&
         source_of(a) + a.chunks.count == source_of(b);
}

}  // namespace

std::uint64_t source_of(const CopyJob& job) {
  return job.from_origin ? job.chunks.start.value : job.from.value;
}

bool copied_in_order(const CopyJob& a, const CopyJob& b) {
  if (a.from_origin != b.from_origin) return a.from_origin;
  if (a.verify_only != b.verify_only) return a.verify_only;
  return source_of(a) < source_of(b);
}

std::vector<CopyJob> take_jobs(std::vector<CopyJob>& jobs, std::size_t& first,
                               std::uint64_t count) {
  std::vector<CopyJob> taken;
  for (std::uint64_t left = count; left > 0; ++first) {
    CopyJob& job = jobs[first];
    job.chunks.count = std::min(job.chunks.count, left);
    left -= job.chunks.count;
    taken.push_back(std::move(job));
  }
  return taken;
}

Copier::Copier(StoreState& state, Device& origin, Device& store, std::size_t memory)
    : state_(state),
      origin_(origin),
      store_(store),
      memory_left_(std::max<std::size_t>(memory, 2 * kMaxTransfer)) {}

std::uint64_t Copier::max_job_chunks() const {
  return std::min<std::uint64_t>(kMaxRecordRun, kMaxTransfer >> state_.superblock().chunk_shift);
}

std::uint64_t Copier::chunks_together(const std::vector<CopyJob>& jobs, std::size_t first) const {
  std::uint64_t chunks = jobs[first].chunks.count;
  const std::uint64_t most = kMaxTransfer >> state_.superblock().chunk_shift;
  for (std::size_t i = first + 1; i < jobs.size(); ++i) {
    if (!continues(jobs[i - 1], jobs[i]) || chunks + jobs[i].chunks.count > most) break;
    chunks += jobs[i].chunks.count;
  }
  return chunks;
}

void Copier::start(std::uint64_t pending_units) {
  if (wanted_.empty() || waiting_for_block_) {
    run_queue();
    return;
  }
  std::vector<CopyJob> jobs = std::exchange(wanted_, {});
  std::stable_sort(jobs.begin(), jobs.end(), copied_in_order);
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
  const std::uint64_t wanted = chunks_together(jobs, first);
  if (jobs[first].verify_only) {
    queue(jobs, first, {}, wanted);
    return true;
  }
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
  queue(jobs, first, *place, place->count);
  return true;
}

// Makes one transfer of `count` chunks of the jobs from `first` on.
void Copier::queue(std::vector<CopyJob>& jobs, std::size_t& first, StoreRun to,
                   std::uint64_t count) {
  auto transfer = std::make_shared<Transfer>();
  transfer->from_origin = jobs[first].from_origin;
  transfer->verify_only = jobs[first].verify_only;
  transfer->from = source_of(jobs[first]);
  transfer->count = count;
  transfer->to = to;
  transfer->jobs = take_jobs(jobs, first, count);
  queued_.push_back(std::move(transfer));
}

void Copier::run_queue() {
  while (!queued_.empty()) {
    const std::size_t bytes = queued_.front()->count << state_.superblock().chunk_shift;
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
  std::span<std::byte> data = t->buffer.span().first(t->count << shift);
  const std::uint64_t offset = t->from << shift;
  // The origin's last chunk may be cut short; what lies beyond it reads as zeros.
  const std::uint64_t limit =
      t->from_origin ? std::min(origin_.size(), state_.superblock().origin_size) : store_.size();
  const std::uint64_t there =
      offset < limit ? std::min<std::uint64_t>(data.size(), limit - offset) : 0;
  const std::uint64_t whole = there / device.alignment() * device.alignment();
  std::memset(data.data() + whole, 0, data.size() - whole);
  device.submit({IoKind::read, offset, data.first(whole), [this, t](Status s) { arrived(t, s); }});
}

void Copier::arrived(const TransferPtr& t, const Status& read_status) {
  if (!read_status.ok()) return finish(t, read_status, {});
  const unsigned shift = state_.superblock().chunk_shift;
  std::vector<std::uint32_t> crcs;
  crcs.reserve(t->count);
  for (std::uint64_t i = 0; i < t->count; ++i)
    crcs.push_back(
        stored_checksum(crc32c(t->buffer.span().subspan(i << shift, std::size_t{1} << shift))));
  if (t->from_origin)
    write(t, std::move(crcs));
  else
    verify(t, std::move(crcs));
}

// A copy of a damaged chunk must not come out with a fresh, valid checksum.
void Copier::verify(const TransferPtr& t, std::vector<std::uint32_t> crcs) {
  const Status sound = compare(*t, crcs);
  if (sound.ok()) return write(t, std::move(crcs));
  if (sound.code() != Code::need_block) return finish(t, sound, {});
  state_.cache().fetch(BlockAddress(sound.detail()),
                       [this, t, crcs = std::move(crcs)](const Status& s) mutable {
                         if (!s.ok()) return finish(t, s, {});
                         verify(t, std::move(crcs));
                       });
}

Status Copier::compare(const Transfer& t, const std::vector<std::uint32_t>& crcs) {
  for (std::uint64_t i = 0; i < t.count; ++i) {
    CSNAP_ASSIGN(const std::uint32_t known, state_.checksums().get(StoreChunk(t.from + i)));
    if (known == 0 || known == crcs[i]) continue;
    return Status(Code::corrupt, store_.name() + ": the data of store chunk " +
                                     std::to_string(t.from + i) +
                                     " does not match its checksum; run csnap-check --data");
  }
  return {};
}

void Copier::write(const TransferPtr& t, std::vector<std::uint32_t> crcs) {
  if (t->verify_only) return finish(t, {}, std::move(crcs));
  const unsigned shift = state_.superblock().chunk_shift;
  store_.submit(
      {IoKind::write, t->to.start.value << shift, t->buffer.span().first(t->count << shift),
       [this, t, crcs = std::move(crcs)](Status s) mutable { finish(t, s, std::move(crcs)); }});
}

void Copier::finish(const TransferPtr& t, const Status& status, std::vector<std::uint32_t> crcs) {
  const std::size_t bytes = t->count << state_.superblock().chunk_shift;
  give_buffer(std::move(t->buffer));
  memory_left_ += bytes;
  --transfers_;
  if (status.ok() && !t->verify_only) copied_chunks_ += t->count;
  if (!status.ok() && !t->verify_only) state_.data().unreserve(t->to);
  std::uint64_t at = 0;
  for (auto& job : t->jobs) {
    const std::uint64_t count = job.chunks.count;
    if (status.ok()) {
      const auto from = crcs.begin() + static_cast<long>(at);
      job.done(Copied{{t->to.start + at, count}, {from, from + static_cast<long>(count)}, 0});
    } else if (t->jobs.size() > 1) {
      job.alone = true;
      wanted_.push_back(std::move(job));
    } else {
      job.done(status.with_context(t->verify_only ? "comparing chunks with their checksums"
                                                  : "copying chunks before they change"));
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
