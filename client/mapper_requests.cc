// SPDX-License-Identifier: Apache-2.0
// Operations, their requests and replies.
#include <algorithm>
#include <cassert>
#include <utility>

#include "client/mapper.h"
#include "client/wire.h"
#include "store/crc.h"

namespace csnap {

namespace {

constexpr std::uint64_t kRetryMs = 50;  // of what is not available now, when no time is named
// Places that a reader who goes on in order is told of at once.
constexpr std::uint64_t kAhead = 256;
// Requests of one session that stay free for heartbeats, which must not wait behind others.
constexpr std::uint64_t kReservedRequests = 4;

bool covers(const std::vector<ChunkRun>& all, const ChunkRun& one) {
  return std::any_of(all.begin(), all.end(), [&](const ChunkRun& run) {
    return run.start <= one.start && one.end() <= run.end();
  });
}

}  // namespace

std::uint64_t Mapper::add_request(Request request) {
  const std::uint64_t id = next_id_++;
  requests_.emplace(id, std::move(request));
  unsent_.push_back(id);
  pump();
  return id;
}

bool Mapper::room_for(const Request& request) const {
  const std::uint64_t most =
      info_->max_requests > 2 * kReservedRequests ? info_->max_requests - kReservedRequests : 1;
  if (sent_ >= most) return false;
  return request.type != wire::MESSAGE_SNAPSHOT_READ ||
         sent_reads_ + reads_.size() < info_->max_reads;
}

// Sends what may be sent; what has to wait does not hold up what comes after it.
void Mapper::pump() {
  if (state_ != State::ready || !gone_.ok()) return;
  std::deque<std::uint64_t> later;
  while (!unsent_.empty()) {
    const std::uint64_t id = unsent_.front();
    unsent_.pop_front();
    const auto it = requests_.find(id);
    if (it == requests_.end()) continue;
    Request& request = it->second;
    if (request.not_before_ms > now_ms_ || !room_for(request)) {
      later.push_back(id);
      continue;
    }
    send(request.type, id, *request.message);
    request.sent = true;
    ++sent_;
    if (request.type == wire::MESSAGE_SNAPSHOT_READ) ++sent_reads_;
  }
  unsent_ = std::move(later);
}

void Mapper::unique(std::vector<ChunkRun> ranges, Done done) {
  if (!gone_.ok()) return done(gone_);
  // Somebody may be asking already.
  for (auto& [id, request] : requests_) {
    if (request.type != wire::MESSAGE_UNIQUE) continue;
    const auto& asked = request.ranges;
    if (std::all_of(ranges.begin(), ranges.end(),
                    [&](const ChunkRun& run) { return covers(asked, run); })) {
      request.done.push_back(std::move(done));
      return;
    }
  }
  auto message = std::make_unique<wire::UniqueRequest>();
  ranges_to_proto(ranges, *message->mutable_ranges());
  Request request{.type = wire::MESSAGE_UNIQUE,
                  .message = std::move(message),
                  .ranges = std::move(ranges),
                  .runs = {},
                  .done = {},
                  .read_done = {},
                  .write_done = {}};
  request.done.push_back(std::move(done));
  add_request(std::move(request));
}

void Mapper::snapshot_read(std::vector<ChunkRun> ranges, ReadDone done) {
  if (!gone_.ok()) return done(gone_);
  auto message = std::make_unique<wire::SnapshotRead>();
  ranges_to_proto(ranges, *message->mutable_ranges());
  ChunkRun ahead;
  if (!ranges.empty() && info_ && readers_.expects(ranges.back())) {
    const Chunk end = ranges.back().end();
    ahead = {end, std::min(kAhead, info_->chunks() - std::min(info_->chunks(), end.value))};
    message->set_ahead(static_cast<std::uint32_t>(ahead.count));
  }
  add_request({.type = wire::MESSAGE_SNAPSHOT_READ,
               .message = std::move(message),
               .ranges = std::move(ranges),
               .runs = {},
               .done = {},
               .read_done = std::move(done),
               .write_done = {},
               .ahead = ahead});
}

void Mapper::finish_read(std::uint64_t handle) {
  const auto it = reads_.find(handle);
  if (it == reads_.end()) return;  // of a session that is no more
  if (it->second.server_id != 0) finished_reads_.push_back(it->second.server_id);
  reads_.erase(it);
  continue_restart();
  finish_evict();
  pump();
}

void Mapper::snapshot_write(std::vector<ChunkRun> ranges, WriteKind kind, WriteDone done) {
  if (!gone_.ok()) return done(gone_);
  if (kind == WriteKind::overwrite && write_to_spares(ranges, done)) return;
  auto message = std::make_unique<wire::SnapshotWrite>();
  ranges_to_proto(ranges, *message->mutable_ranges());
  message->set_overwrite(kind != WriteKind::partial);
  Request request{.type = wire::MESSAGE_SNAPSHOT_WRITE,
                  .message = nullptr,
                  .ranges = std::move(ranges),
                  .runs = {},
                  .done = {},
                  .read_done = {},
                  .write_done = std::move(done)};
  if (kind == WriteKind::overwrite && spares_.wanted() > 0) {
    message->set_spares_wanted(static_cast<std::uint32_t>(spares_.wanted()));
    request.asks_spares = true;
    spares_.asked();
  }
  request.message = std::move(message);
  add_request(std::move(request));
}

// Not while places of before a restart are being given up: all there is of them counts then.
bool Mapper::write_to_spares(const std::vector<ChunkRun>& ranges, const WriteDone& done) {
  if (state_ != State::ready) return false;
  WriteMapping mapping{next_handle_, standing_.write_generation, spares_.take(ranges)};
  if (mapping.targets.empty()) return false;
  writes_.insert(next_handle_++);
  done(std::move(mapping));
  return true;
}

void Mapper::finish_write(std::uint64_t handle, std::vector<FinishedRun> runs, Done done) {
  if (!gone_.ok()) {
    abandon_write(handle);
    return done(gone_);
  }
  // A handle that is not known is of a session that is no more; while draining, all are.
  if (writes_.count(handle) == 0 || owes_upload_) {
    abandon_write(handle);
    return done(Status(Code::stale, "the places to write to were given up"));
  }
  auto message = std::make_unique<wire::FinishWrite>();
  finished_to_wire(runs, *message);
  Request request{.type = wire::MESSAGE_FINISH_WRITE,
                  .message = std::move(message),
                  .ranges = {},
                  .runs = std::move(runs),
                  .write_handle = handle,
                  .done = {},
                  .read_done = {},
                  .write_done = {}};
  request.done.push_back(std::move(done));
  add_request(std::move(request));
}

void Mapper::abandon_write(std::uint64_t handle) {
  writes_.erase(handle);
  continue_restart();
  finish_evict();
}

void Mapper::fail(Request& request, const Status& why) {
  for (Done& done : request.done) done(why);
  if (request.read_done) request.read_done(why);
  if (request.write_done) request.write_done(why);
}

void Mapper::fail_pending(const Status& why) {
  Requests failed = std::exchange(requests_, {});
  spares_.add({});
  unsent_.clear();
  sent_ = sent_reads_ = 0;
  for (auto& [id, request] : failed)
    if (request.write_handle != 0) writes_.erase(request.write_handle);
  for (auto& [id, request] : failed) fail(request, why);
}

// The places they speak of are void.
void Mapper::fail_finish_writes() {
  Requests failed;
  for (auto it = requests_.begin(); it != requests_.end();) {
    const auto next = std::next(it);
    if (it->second.type == wire::MESSAGE_FINISH_WRITE) failed.insert(requests_.extract(it));
    it = next;
  }
  for (auto& [id, request] : failed) writes_.erase(request.write_handle);
  const Status why(Code::stale, "the places to write to were given up");
  for (auto& [id, request] : failed) fail(request, why);
}

void Mapper::send_finished_reads() {
  if (finished_reads_.empty()) return;
  wire::FinishRead finish;
  for (const std::uint64_t id : std::exchange(finished_reads_, {})) finish.add_read_ids(id);
  send(wire::MESSAGE_FINISH_READ, next_id_++, finish);
}

Mapper::Request Mapper::take(Requests::iterator it) {
  Request request = std::move(it->second);
  requests_.erase(it);
  --sent_;
  if (request.type == wire::MESSAGE_SNAPSHOT_READ) --sent_reads_;
  return request;
}

void Mapper::on_reply(const Frame& frame) {
  const auto it = requests_.find(frame.header.request_id);
  if (it == requests_.end() || !it->second.sent) return on_late_reply(frame);
  if (frame.header.error()) return on_error(it, frame);
  if (frame.header.type != it->second.type + 1)
    return host_.hang_up(Status(Code::corrupt, message_name(it->second.type) + " was answered by " +
                                                   message_name(frame.header.type)));
  Request request = take(it);
  switch (request.type) {
    case wire::MESSAGE_UNIQUE:
      on_unique_reply(std::move(request));
      break;
    case wire::MESSAGE_SNAPSHOT_READ:
      on_read_reply(std::move(request), frame);
      break;
    case wire::MESSAGE_SNAPSHOT_WRITE:
      on_write_reply(std::move(request), frame);
      break;
    default:
      assert(request.type == wire::MESSAGE_FINISH_WRITE);
      on_finish_write_reply(std::move(request));
      break;
  }
  pump();
}

void Mapper::on_error(Requests::iterator it, const Frame& frame) {
  wire::Error error;
  if (auto status = parse_body(frame, error); !status.ok()) return host_.hang_up(status);
  const Status status = status_of(error);
  if (status.code() == Code::unavailable || error.retry_after_ms() != 0) {
    Request& request = it->second;
    request.sent = false;
    request.not_before_ms =
        now_ms_ + (error.retry_after_ms() != 0 ? error.retry_after_ms() : kRetryMs);
    --sent_;
    if (request.type == wire::MESSAGE_SNAPSHOT_READ) --sent_reads_;
    unsent_.push_back(it->first);
    return;
  }
  Request request = take(it);
  if (request.write_handle != 0) writes_.erase(request.write_handle);
  if (request.asks_spares) spares_.add({});
  if (request.type == wire::MESSAGE_FINISH_WRITE && status.code() == Code::stale) {
    std::vector<ChunkRun> chunks;
    for (const FinishedRun& run : request.runs) chunks.push_back(run.chunks);
    spares_.wrong(chunks);
  }
  fail(request, status);
  pump();
}

// The answer to a request that was given up. A read granted to nobody would stay locked, and spare
// places taken.
void Mapper::on_late_reply(const Frame& frame) {
  if (frame.header.error()) return;
  if (frame.header.type == wire::MESSAGE_SNAPSHOT_WRITE_REPLY) {
    wire::SnapshotWriteReply reply;
    if (!parse_body(frame, reply).ok()) return;
    if (const auto spares = spares_from_wire(reply); spares.ok()) spares_.add(*spares);
    return;
  }
  if (frame.header.type != wire::MESSAGE_SNAPSHOT_READ_REPLY) return;
  wire::SnapshotReadReply reply;
  if (!parse_body(frame, reply).ok()) return;
  if (reply.read_id() != 0) finished_reads_.push_back(reply.read_id());
}

void Mapper::on_unique_reply(Request request) {
  host_.granted(request.ranges);
  for (Done& done : request.done) done({});
}

void Mapper::on_read_reply(Request request, const Frame& frame) {
  wire::SnapshotReadReply reply;
  Status status = parse_body(frame, reply);
  if (!status.ok()) return request.read_done(status);
  auto sources = sources_from_wire(reply, request.ranges);
  const auto ahead = ahead_from_wire(reply, request.ahead);
  if (!sources.ok() || !ahead.ok()) {
    if (reply.read_id() != 0) finished_reads_.push_back(reply.read_id());
    return request.read_done(sources.ok() ? ahead.status() : sources.status());
  }
  Read read;
  read.server_id = reply.read_id();
  for (const ReadSource& s : *sources) {
    if (s.on_origin)
      read.on_origin.push_back(s.chunks);
    else
      read.in_store = true;
    if (s.exclusive) host_.learned(s.chunks, s.store, s.rewritable, s.crcs);
  }
  for (const ReadSource& s : *ahead) host_.learned(s.chunks, s.store, s.rewritable, s.crcs);
  const ChunkRun& last = request.ranges.back();
  readers_.answered(last, ahead->empty() ? last.end() : ahead->back().chunks.end());
  const std::uint64_t handle = next_handle_++;
  reads_.emplace(handle, std::move(read));
  request.read_done(ReadMapping{handle, standing_.read_generation, std::move(*sources)});
}

void Mapper::on_write_reply(Request request, const Frame& frame) {
  wire::SnapshotWriteReply reply;
  Status status = parse_body(frame, reply);
  auto spares = status.ok() ? spares_from_wire(reply) : status;
  if (request.asks_spares) spares_.add(spares.ok() ? *spares : std::vector<StoreRun>());
  if (!spares.ok()) return request.write_done(spares.status());
  auto targets = targets_from_wire(reply, request.ranges);
  if (!targets.ok()) return request.write_done(targets.status());
  spares_.learn(request.ranges,
                std::ranges::all_of(*targets, [](const auto& t) { return t.provisional; }));
  WriteMapping mapping;
  mapping.generation = standing_.write_generation;
  for (const WriteTarget& t : *targets) {
    if (!t.provisional)
      host_.learned(t.chunks, t.store, true, {});
    else if (mapping.handle == 0)
      mapping.handle = next_handle_++;
  }
  if (mapping.handle != 0) writes_.insert(mapping.handle);
  mapping.targets = std::move(*targets);
  request.write_done(std::move(mapping));
}

void Mapper::on_finish_write_reply(Request request) {
  writes_.erase(request.write_handle);
  for (FinishedRun& run : request.runs) {
    for (std::uint32_t& crc : run.crcs) crc = stored_checksum(crc);
    host_.learned(run.chunks, run.store, false, run.crcs);
  }
  for (Done& done : request.done) done({});
  finish_evict();
}

}  // namespace csnap
