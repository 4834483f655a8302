// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/asker.h"

#include <boost/asio/post.hpp>
#include <random>
#include <utility>

#include "client/names.h"
#include "client/wire.h"
#include "proto/convert.h"

namespace csnap {
namespace {

constexpr std::uint64_t kHelloId = 1;
// No data is written, so any will do but 0, which means none.
constexpr std::uint32_t kChecksum = 1;

void set_range(google::protobuf::RepeatedPtrField<wire::Range>& ranges, ChunkRun run) {
  if (ranges.empty()) ranges.Add();
  ranges[0].set_start(run.start.value);
  ranges[0].set_count(run.count);
}

}  // namespace

const char* to_string(Kind kind) {
  switch (kind) {
    case Kind::unique:
      return "unique";
    case Kind::read:
      return "read";
    case Kind::write:
      return "write";
    case Kind::overwrite:
      break;
  }
  return "overwrite";
}

Asker::Asker(boost::asio::io_context& io, const Address& address, Kind kind, std::string snapshot,
             std::size_t in_flight, Places& places, AskerEvents events)
    : io_(io),
      kind_(kind),
      snapshot_(std::move(snapshot)),
      in_flight_(in_flight),
      places_(places),
      events_(std::move(events)) {
  Link::Events link_events;
  link_events.opened = [this] { hello(); };
  link_events.received = [this](const Frame& frame) { on_frame(frame); };
  link_events.sent = [this] { flush(); };
  link_events.closed = [this](const Status& why) { fail(why); };
  link_ = std::make_shared<Link>(io, std::move(link_events));
  link_->open(address);
  pending_.reserve(in_flight * 2);
}

Asker::~Asker() {
  link_->close();
}

void Asker::append(wire::MessageType type, std::uint64_t id,
                   const google::protobuf::MessageLite& body) {
  append_frame(output_, type, 0, id, body);
  // Everything that one read brought forth goes out in one write.
  if (flush_posted_) return;
  flush_posted_ = true;
  boost::asio::post(io_, [this] {
    flush_posted_ = false;
    flush();
  });
}

void Asker::flush() {
  if (!closed_ && !link_->sending() && !output_.empty()) link_->send(std::exchange(output_, {}));
}

void Asker::fail(const Status& why) {
  if (closed_) return;
  closed_ = true;
  link_->close();
  events_.failed(why);
}

void Asker::hello() {
  std::random_device random;
  const auto word = [&] { return std::uint64_t{random()} << 32 | random(); };
  wire::Hello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_client_name(own_client_name());
  hello.set_session(uuid_to_proto(Uuid::from_random(word(), word())));
  hello.set_role(wire::ROLE_VOLUME);
  if (snapshot_.empty())
    hello.mutable_volume()->set_origin(true);
  else
    hello.mutable_volume()->set_snapshot_name(snapshot_);
  append(wire::MESSAGE_HELLO, kHelloId, hello);
  next_id_ = kHelloId + 1;
}

void Asker::heartbeat() {
  if (heartbeat_ms_ > 0 && !closed_) append(wire::MESSAGE_HEARTBEAT, next_id_++, wire::Heartbeat());
}

void Asker::leave() {
  if (!closed_) append(wire::MESSAGE_GOODBYE, next_id_++, wire::Goodbye());
}

void Asker::on_frame(const Frame& frame) {
  if (closed_) return;
  heard_ = Clock::now();
  if (frame.header.push()) return on_push(frame);
  if (frame.header.error()) return on_error(frame);
  if (!frame.header.reply()) return;
  if (frame.header.type == wire::MESSAGE_WELCOME) return on_welcome(frame);
  if (frame.header.type == wire::MESSAGE_GOODBYE_REPLY) {
    closed_ = true;  // nothing more is to be heard
    link_->close();
    return events_.left();
  }
  if (frame.header.type != wire::MESSAGE_HEARTBEAT_REPLY) on_reply(frame);
}

void Asker::on_error(const Frame& frame) {
  wire::Error error;
  if (auto status = parse_body(frame, error); !status.ok()) return fail(status);
  const Status status = status_of(error);
  const auto found = pending_.find(frame.header.request_id);
  // Another write to the same chunk was faster: from the start, as docs/protocol.md has it.
  if (kind_ != Kind::overwrite || status.code() != Code::stale || found == pending_.end()) {
    asking_ = false;  // the session is there as before, and can be left
    return events_.failed(status);
  }
  const Pending again{found->second.since, found->second.chunks};
  pending_.erase(found);
  spares_.wrong({&again.chunks, 1});
  ask_for(again);
}

void Asker::on_welcome(const Frame& frame) {
  wire::Welcome welcome;
  if (auto status = parse_body(frame, welcome); !status.ok()) return fail(status);
  auto info = session_from_wire(welcome);
  if (!info.ok()) return fail(info.status());
  heartbeat_ms_ = welcome.heartbeat_ms();
  events_.ready();
}

void Asker::on_push(const Frame& frame) {
  switch (frame.header.type) {
    case wire::MESSAGE_BARRIER_BEGIN: {
      wire::BarrierBegin begin;
      if (auto status = parse_body(frame, begin); !status.ok()) return fail(status);
      wire::BarrierDone done;
      done.set_barrier(begin.barrier());
      append(wire::MESSAGE_BARRIER_DONE, next_id_++, done);
      break;
    }
    case wire::MESSAGE_HEARTBEAT:
      append_frame(output_, wire::MESSAGE_HEARTBEAT_REPLY, frame_flags::kReply,
                   frame.header.request_id, wire::HeartbeatReply());
      flush();
      break;
    case wire::MESSAGE_EVICT:
      return fail(Status(Code::stale, "the snapshot was deleted"));
    case wire::MESSAGE_HANDOVER:
      return fail(Status(Code::unavailable, "the server is stopping"));
    default:
      break;
  }
}

void Asker::start() {
  asking_ = true;
  while (asking_ && pending_.size() < in_flight_) ask();
}

void Asker::stop() {
  asking_ = false;
  if (!pending_.empty() || told_done_) return;
  told_done_ = true;
  events_.done();
}

void Asker::ask() {
  const auto run = places_.next();
  if (!run) return stop();
  ask_for({Clock::now(), *run});
}

void Asker::ask_for(const Pending& pending) {
  if (kind_ == Kind::overwrite && write_to_spares(pending)) return;
  const std::uint64_t id = next_id_++;
  auto& asked = pending_.emplace(id, pending).first->second;
  const ChunkRun run = pending.chunks;
  switch (kind_) {
    case Kind::unique:
      set_range(*unique_.mutable_ranges(), run);
      return append(wire::MESSAGE_UNIQUE, id, unique_);
    case Kind::read:
      set_range(*read_.mutable_ranges(), run);
      return append(wire::MESSAGE_SNAPSHOT_READ, id, read_);
    case Kind::write:
    case Kind::overwrite:
      set_range(*write_.mutable_ranges(), run);
      write_.set_overwrite(kind_ == Kind::overwrite);
      asked.asks_spares = kind_ == Kind::overwrite && spares_.wanted() > 0;
      write_.set_spares_wanted(asked.asks_spares ? SparePlaces::kAtOnce : 0);
      if (asked.asks_spares) spares_.asked();
      return append(wire::MESSAGE_SNAPSHOT_WRITE, id, write_);
  }
}

void Asker::add_finished(ChunkRun chunks, StoreChunk store) {
  auto* run = finish_write_.add_runs();
  run->set_start(chunks.start.value);
  run->set_count(chunks.count);
  run->set_store_chunk(store.value);
  for (std::uint64_t i = 0; i < chunks.count; ++i) run->add_crcs(kChecksum);
}

void Asker::send_finished(const Pending& pending) {
  const std::uint64_t id = next_id_++;
  pending_.emplace(id, Pending{pending.since, pending.chunks});
  append(wire::MESSAGE_FINISH_WRITE, id, finish_write_);
}

bool Asker::write_to_spares(const Pending& pending) {
  const auto targets = spares_.take({&pending.chunks, 1});
  if (targets.empty()) return false;
  finish_write_.Clear();
  for (const WriteTarget& target : targets) add_finished(target.chunks, target.store);
  send_finished(pending);
  return true;
}

Result<bool> Asker::finish_write(const Pending& pending) {
  CSNAP_ASSIGN(const auto spares, spares_from_wire(write_reply_));
  if (pending.asks_spares) spares_.add(spares);
  finish_write_.Clear();
  for (const auto& piece : write_reply_.pieces())
    if (piece.provisional())
      add_finished({Chunk(piece.start()), piece.count()}, StoreChunk(piece.store_chunk()));
  const bool all = finish_write_.runs_size() == write_reply_.pieces_size();
  spares_.learn({&pending.chunks, 1}, all);
  if (finish_write_.runs_size() == 0) return false;
  send_finished(pending);
  return true;
}

void Asker::on_reply(const Frame& frame) {
  const auto found = pending_.find(frame.header.request_id);
  if (found == pending_.end())
    return fail(Status(Code::corrupt, "an answer to a question that was not asked"));
  const Pending pending = found->second;
  pending_.erase(found);
  if (frame.header.type == wire::MESSAGE_SNAPSHOT_WRITE_REPLY && kind_ == Kind::overwrite) {
    if (auto status = parse_body(frame, write_reply_); !status.ok()) return fail(status);
    const auto finishing = finish_write(pending);
    if (!finishing.ok()) return fail(finishing.status());
    if (*finishing) return;
  }
  if (frame.header.type == wire::MESSAGE_SNAPSHOT_READ_REPLY) {
    if (auto status = parse_body(frame, read_reply_); !status.ok()) return fail(status);
    if (read_reply_.read_id() != 0) {
      finish_read_.Clear();
      finish_read_.add_read_ids(read_reply_.read_id());
      append(wire::MESSAGE_FINISH_READ, next_id_++, finish_read_);
    }
  }
  events_.answered(static_cast<std::uint64_t>((Clock::now() - pending.since).count()));
  if (asking_)
    ask();
  else
    stop();
}

}  // namespace csnap
