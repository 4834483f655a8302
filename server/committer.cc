// SPDX-License-Identifier: Apache-2.0
#include "server/committer.h"

#include <algorithm>
#include <utility>

namespace csnap {
namespace {

constexpr int kAttempts = 3;
constexpr std::size_t kImagesPerCommit = 128;      // 512 KiB: bounds what a group waits for
constexpr std::uint64_t kRecordsToReplay = 65536;  // a start replays well over a million a second
constexpr std::size_t kManyUnits = 4;
constexpr std::uint64_t kGatherPart = 4;     // of the time that a commit takes
constexpr std::uint64_t kServerStarted = 1;  // journal blocks that a new server needs to begin
constexpr std::uint64_t kUnitGrowth = 32;    // blocks that one unit may make dirty, generously

// Journal blocks that so many images take: themselves, and the commits that carry them.
std::uint64_t blocks_for_images(std::uint64_t images) {
  return images + 4 * (images / kImagesPerCommit + 2);
}

}  // namespace

Committer::Committer(StoreState& state, Device& metadata, Journal& journal,
                     std::vector<Device*> flush_also, Freed freed, Clock clock_us)
    : state_(state),
      journal_(journal),
      flush_also_(std::move(flush_also)),
      freed_(std::move(freed)),
      checkpointer_(state, metadata, journal, [this](Status s) { fail(std::move(s)); }),
      clock_us_(std::move(clock_us)) {}

bool Committer::idle() const {
  return queue_.empty() && waiting_.empty() && !journal_.busy() && !checkpointer_.active();
}

void Committer::add(Unit unit) {
  if (!failure_.ok()) {
    unit.done(failure_);
    return;
  }
  queue_.push_back({std::move(unit), {}, 0, false, {}});
}

void Committer::refuse(Status why, Done done) {
  add({[why = std::move(why)](std::vector<Record>&) { return why; }, std::move(done)});
}

void Committer::when_durable(Done done) {
  // A unit without records would be told at once, one that is refused is not.
  refuse(Status(Code::cancelled, "nothing is to be changed"),
         [done = std::move(done)](const Status& status) {
           done(status.code() == Code::cancelled ? Status() : status);
         });
}

void Committer::pump() {
  if (!failure_.ok()) return;
  apply_queue();
  if (!journal_.busy() && failure_.ok() && !gather()) close_group();
}

// Is it worth while to let more units join?
bool Committer::gather() {
  gathers_until_us_.reset();
  if (!clock_us_ || answered_ < kManyUnits || waiting_.empty() || group_is_urgent_) return false;
  if (waiting_.size() + queue_.size() >= expected_) return false;
  const std::uint64_t until = ended_us_ + (ended_us_ - began_us_) / kGatherPart;
  if (clock_us_() >= until) return false;
  gathers_until_us_ = until;
  return true;
}

std::uint64_t Committer::dirty_cap() const {
  return std::max<std::uint64_t>(
      kUnitGrowth, std::min<std::uint64_t>(state_.cache().dirty_limit(), journal_.capacity() / 4));
}

bool Committer::admitted(std::size_t more_bytes) const {
  if (state_.cache().dirty() >= dirty_cap()) return false;
  // Room for the checkpoint under way, and for the one that this unit will need. For the whole of
  // the one under way, however much of it is in the journal already: should the server die before
  // it is complete, the next one has to begin with a checkpoint of it all, and this unit's commit
  // keeps those images from being given up (see recovery.h).
  const std::uint64_t images = checkpointer_.images() + state_.cache().dirty() + kUnitGrowth;
  const std::uint64_t needed = Journal::blocks_needed(records_.size() + more_bytes, 0) +
                               flying_blocks_ + blocks_for_images(images) + kServerStarted;
  return needed <= journal_.free_blocks() && records_.size() < journal_.capacity() * kBlockSize / 8;
}

void Committer::apply_queue() {
  while (!queue_.empty() && !waiting_for_block_ && failure_.ok())
    if (!apply_front()) return;
}

bool Committer::apply_front() {
  Queued& front = queue_.front();
  if (!front.built) {
    // Records are built only once the unit is let in, so that they fit the state they meet.
    if (!admitted(kBlockSize)) {
      checkpoint_wanted_ = true;
      return false;
    }
    const Status built = front.unit.build(front.records);
    if (built.code() == Code::need_block) return wait_for_block(built);
    if (!built.ok()) return refuse_front(built);
    if (front.records.empty()) return drop_front(built);
    front.built = true;
  }
  if (front.applied == 0 && front.records.size() > 1) {
    const Status prepared = state_.prepare(front.records);
    if (prepared.code() == Code::need_block) return wait_for_block(prepared);
    if (!prepared.ok()) return drop_front(prepared);
  }
  while (front.applied < front.records.size()) {
    const Status status = state_.apply(front.records[front.applied], front.freed);
    if (status.code() == Code::need_block) return wait_for_block(status);
    if (status.code() == Code::no_space && front.applied == 0) return drop_front(status);
    if (!status.ok()) {
      fail(status.with_context("applying " + to_string(front.records[front.applied])));
      return false;
    }
    ++front.applied;
  }
  for (const auto& record : front.records) {
    encode_record(record, records_);
    group_brings_data_ |= std::holds_alternative<ExceptionAdded>(record);
  }
  group_is_urgent_ |= front.unit.urgent;
  records_since_checkpoint_ += front.records.size();
  waiting_.push_back(std::move(front.unit.done));
  group_freed_.insert(group_freed_.end(), front.freed.begin(), front.freed.end());
  queue_.pop_front();
  return true;
}

// Ends the first unit, of which nothing was applied.
bool Committer::drop_front(const Status& status) {
  const Done done = std::move(queue_.front().unit.done);
  queue_.pop_front();
  done(status);
  return true;
}

// As drop_front(), once what was applied before it is durable.
bool Committer::refuse_front(const Status& status) {
  auto& before = waiting_.empty() ? flying_waiting_ : waiting_;
  if (before.empty()) return drop_front(status);
  before.push_back([status, done = std::move(queue_.front().unit.done)](const Status& durable) {
    done(durable.ok() ? status : durable);
  });
  queue_.pop_front();
  return true;
}

bool Committer::wait_for_block(const Status& miss) {
  waiting_for_block_ = true;
  state_.cache().fetch(BlockAddress(miss.detail()), [this](Status status) {
    waiting_for_block_ = false;
    if (status.ok() || !failure_.ok() || queue_.empty()) return;
    if (queue_.front().applied > 0) return fail(std::move(status));
    drop_front(status);
  });
  // It may have been there at once.
  return !waiting_for_block_;
}

bool Committer::checkpoint_due() const {
  return checkpoint_wanted_ || state_.cache().dirty() >= dirty_cap() / 2 ||
         records_since_checkpoint_ >= kRecordsToReplay ||
         blocks_since_checkpoint_ >= journal_.capacity() / 8;
}

// A checkpoint begins at the edge of a group: with the commit that is about to be written.
void Committer::try_begin_checkpoint() {
  if (checkpointer_.active() || !checkpoint_due()) return;
  const Sequence edge = waiting_.empty() ? journal_.next_sequence() - 1 : journal_.next_sequence();
  const Status begun = checkpointer_.begin(edge);
  if (begun.code() == Code::need_block) {
    // The block of a table: the checkpoint begins with a later group.
    state_.cache().fetch(BlockAddress(begun.detail()), [this](Status s) {
      if (!s.ok()) fail(s.with_context("beginning a checkpoint"));
    });
    return;
  }
  if (!begun.ok()) return fail(begun.with_context("beginning a checkpoint"));
  checkpoint_wanted_ = false;
  records_since_checkpoint_ = 0;
  blocks_since_checkpoint_ = 0;
  if (waiting_.empty())
    checkpointer_.may_log();
  else
    checkpoint_follows_ = true;
}

void Committer::close_group() {
  // A unit applied in part must not be cut by a commit.
  if (!queue_.empty() && queue_.front().applied > 0) return;
  try_begin_checkpoint();
  if (!failure_.ok()) return;
  content_ = {};
  flying_images_ = checkpointer_.logging() && checkpointer_.images_left() > 0;
  if (waiting_.empty() && !flying_images_) return;
  answered_ = 0;
  if (flying_images_) checkpointer_.add_images(content_, kImagesPerCommit);
  flying_records_.clear();
  // Recovery takes a commit back whose data did not reach the disk. It must not have to judge one
  // whose images may be at home already: so that one names no data, which goes with the next.
  if (!content_.checkpoint_complete || !group_brings_data_) {
    flying_records_.swap(records_);
    flying_waiting_.swap(waiting_);
    flying_freed_.swap(group_freed_);
    group_brings_data_ = group_is_urgent_ = false;
  }
  content_.records = flying_records_;
  flying_blocks_ = Journal::blocks_needed(flying_records_.size(), content_.images.size());
  blocks_since_checkpoint_ += Journal::blocks_needed(flying_records_.size(), 0);
  attempts_ = 0;
  if (clock_us_) began_us_ = clock_us_();
  append();
}

void Committer::append() {
  // admitted() sees to it that there is room, except for a repair that was too large to begin with.
  if (flying_blocks_ > journal_.free_blocks())
    return fail(Status(Code::no_space, "the journal has no room for a checkpoint"));
  journal_.append(content_, flush_also_, [this](Status s) { committed(std::move(s)); });
}

void Committer::committed(Status status) {
  if (!failure_.ok()) return;
  if (!status.ok()) {
    if (!journal_.flush_failed() && ++attempts_ < kAttempts) return append();
    return fail(status.with_context("writing the journal"));
  }
  ++commits_;
  flying_blocks_ = 0;
  if (checkpoint_follows_) {
    checkpoint_follows_ = false;
    checkpointer_.may_log();
  }
  if (flying_images_) checkpointer_.images_durable();
  flying_images_ = false;
  if (!flying_freed_.empty()) freed_(std::exchange(flying_freed_, {}));
  const auto waiting = std::exchange(flying_waiting_, {});
  flying_records_.clear();
  if (clock_us_) ended_us_ = clock_us_();
  answered_ = waiting.size();
  expected_ = answered_ + waiting_.size() + queue_.size();
  for (const auto& done : waiting) done({});
}

void Committer::fail(Status status) {
  if (!failure_.ok()) return;
  failure_ = std::move(status);
  auto flying = std::exchange(flying_waiting_, {});
  auto waiting = std::exchange(waiting_, {});
  auto queue = std::exchange(queue_, {});
  for (const auto& done : flying) done(failure_);
  for (const auto& done : waiting) done(failure_);
  for (const auto& queued : queue) queued.unit.done(failure_);
}

}  // namespace csnap
