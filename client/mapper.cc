// SPDX-License-Identifier: Apache-2.0
// The session: greeting, lease, goodbye, and what follows a lost connection.
#include "client/mapper.h"

#include <algorithm>
#include <utility>

#include "client/wire.h"
#include "store/device_identity.h"

namespace csnap {

namespace {

constexpr std::uint64_t kGreetingPatienceMs = 10'000;
// Reads of one UploadLocks message; each has at most the ranges of one request.
constexpr int kUploadRanges = 16'384;

// Time given to I/O that started under a lease to end before the server may give it away.
std::uint64_t margin_ms(const SessionInfo& info) {
  return info.lease_ms / 4;
}

bool for_good(Code code) {
  switch (code) {
    case Code::unavailable:
    case Code::busy:
    case Code::no_space:
    case Code::io_error:
    case Code::internal:
    case Code::corrupt:
    case Code::cancelled:
      return false;
    default:
      return true;
  }
}

// Who went on with a device that the server has left would write where nobody reads.
Status check_same_device(const char* what, const RemoteDevice& before, const RemoteDevice& now) {
  auto was = DeviceIdentity::parse(before.identity);
  const auto is = DeviceIdentity::parse(now.identity);
  if (!was.ok() || !is.ok()) return {};
  was->size = is->size;  // a store may have grown
  if (same_volume(*was, *is, what).ok()) return {};
  return Status(Code::stale, std::string("the server has another ") + what + " now, " + now.path +
                                 "; open the volume anew");
}

}  // namespace

Mapper::Mapper(MapperOptions options, MapperHost& host)
    : options_(std::move(options)), host_(host) {}

void Mapper::send(wire::MessageType type, std::uint64_t id,
                  const google::protobuf::MessageLite& message) {
  append_frame(output_, type, 0, id, message);
}

OutputBuffer Mapper::take_output() {
  if (state_ == State::ready) send_finished_reads();
  return std::exchange(output_, {});
}

void Mapper::connected(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  output_.clear();
  send_hello(now_ms);
  state_ = State::greeting;
}

void Mapper::send_hello(std::uint64_t now_ms) {
  wire::Hello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_client_name(options_.client_name);
  hello.set_session(uuid_to_proto(options_.session));
  hello.set_role(wire::ROLE_VOLUME);
  hello.set_read_only(options_.read_only);
  hello.set_receiving(options_.receiving);
  const auto id = info_ ? std::optional(info_->volume) : options_.volume;
  if (id ? *id == kOrigin : options_.volume_name == "origin")
    hello.mutable_volume()->set_origin(true);
  else if (id)
    hello.mutable_volume()->set_snapshot_id(id->value);
  else
    hello.mutable_volume()->set_snapshot_name(options_.volume_name);
  if (info_) {
    hello.set_resume(!begin_anew_);
    hello.set_store(uuid_to_proto(info_->store));
    for (const auto& [handle, read] : reads_)
      if (read.server_id != 0) hello.add_unfinished_reads(read.server_id);
  }
  hello_id_ = next_id_++;
  hello_sent_ms_ = now_ms;
  send(wire::MESSAGE_HELLO, hello_id_, hello);
}

void Mapper::disconnected() {
  state_ = State::disconnected;
  output_.clear();
  heartbeat_id_ = 0;
  upload_ids_.clear();
  upload_done_id_ = 0;
  finished_reads_.clear();  // not among the unfinished ones of the next Hello: that ends them
  sent_ = sent_reads_ = 0;
  unsent_.clear();
  for (auto& [id, request] : requests_) {
    request.sent = false;
    unsent_.push_back(id);
  }
  goodbye_id_ = 0;
  copies_offered_ = false;
}

void Mapper::received(const Frame& frame, std::uint64_t now_ms) {
  now_ms_ = now_ms;
  if (frame.header.push()) {
    if (info_) return on_push(frame);
    return host_.hang_up(Status(Code::corrupt, "the server's first message is not Welcome"));
  }
  if (!frame.header.reply()) {
    if (frame.header.type == wire::MESSAGE_HEARTBEAT) return answer_heartbeat(frame);
    return host_.hang_up(Status(
        Code::corrupt, "the server asked something of us: " + message_name(frame.header.type)));
  }
  if (state_ == State::greeting) {
    if (frame.header.error()) return on_hello_error(frame);
    if (frame.header.request_id == hello_id_ && frame.header.type == wire::MESSAGE_WELCOME)
      return on_hello_reply(frame);
    return host_.hang_up(Status(Code::corrupt, "the server's first message is not Welcome"));
  }
  on_session_reply(frame);
}

void Mapper::on_session_reply(const Frame& frame) {
  const std::uint64_t id = frame.header.request_id;
  if (id == heartbeat_id_ && id != 0) {
    heartbeat_id_ = 0;
    if (frame.header.error()) return;
    lease_from_ms_ = heartbeat_sent_ms_;
    if (!void_pending_) publish();
    return;
  }
  if (id == goodbye_id_ && id != 0 && goodbye_done_) return std::exchange(goodbye_done_, nullptr)();
  if (upload_ids_.count(id) != 0 || (id == upload_done_id_ && id != 0))
    return frame.header.error() ? on_upload_error() : on_upload_reply(frame);
  on_reply(frame);
}

void Mapper::on_hello_error(const Frame& frame) {
  wire::Error error;
  if (auto status = parse_body(frame, error); !status.ok()) return host_.hang_up(status);
  Status status = status_of(error);
  const bool over = status.code() == Code::cancelled && frame.header.request_id == hello_id_;
  if (info_ && over && options_.receiving) {
    // Somebody else may have received or written since.
    volume_gone(Status(Code::stale,
                       "the session to receive is over: the server did not hear of it "
                       "for the length of its lease"));
    return host_.hang_up(status);
  }
  if (info_ && over) {
    // Our lease has run out. What was granted is given up before the session begins anew, or a
    // Welcome that is lost would leave us believing in it.
    start_void();
    state_ = State::greeting;
    begin_anew_ = true;
    return send_hello(now_ms_);
  }
  if (error.retry_after_ms() == 0 && for_good(status.code())) volume_gone(status);
  // A volume that cannot be had now is asked for again, but only by those who had it before.
  else if (!info_ && status.code() != Code::unavailable && error.retry_after_ms() == 0)
    volume_gone(status);
  host_.hang_up(status);
}

Status Mapper::check_same(const SessionInfo& info) const {
  if (info.store != info_->store)
    return Status(Code::stale, "the server now serves another store, " + info.store.to_string());
  // A repair may give a snapshot that has lost its name the id of another one.
  if (info.volume != info_->volume || info.volume_uuid != info_->volume_uuid ||
      info.size != info_->size || info.chunk_size != info_->chunk_size)
    return Status(Code::stale, "the volume " + info_->volume_name + " is not what it was");
  CSNAP_TRY(check_same_device("origin", info_->origin_device, info.origin_device));
  if (info.is_origin() && !info.copies) return {};
  return check_same_device("store", info_->store_device, info.store_device);
}

void Mapper::on_hello_reply(const Frame& frame) {
  wire::Welcome welcome;
  if (auto status = parse_body(frame, welcome); !status.ok()) return host_.hang_up(status);
  auto info = session_from_wire(welcome);
  if (!info.ok()) return host_.hang_up(info.status());
  heartbeat_id_ = 0;
  next_heartbeat_ms_ = now_ms_ + info->heartbeat_ms;
  if (goodbye_done_) send_goodbye();
  if (!info_) {
    info_ = std::move(info).value();
    host_.opened(*info_);
    lease_from_ms_ = hello_sent_ms_;
    return become_ready();
  }
  if (auto status = check_same(*info); !status.ok()) {
    volume_gone(status);
    return host_.hang_up(status);
  }
  begin_anew_ = false;
  const std::string name = info_->volume_name;
  info_ = std::move(info).value();
  info_->volume_name = name;  // what the user called it when it was opened
  if (!welcome.resumed() && !welcome.restarted()) return start_void();
  if (welcome.restarted()) start_restart();
  lease_from_ms_ = hello_sent_ms_;
  go_on();
}

// To the next thing that has to happen before the session is as good as before.
void Mapper::go_on() {
  if (void_pending_) {
    state_ = State::voided;
    return;
  }
  publish();
  if (!owes_upload_) return become_ready();
  state_ = State::draining;
  continue_restart();
}

// Nothing that was granted holds any more.
void Mapper::start_void() {
  state_ = State::voided;
  void_pending_ = true;
  owes_upload_ = false;
  barriers_.clear();
  reads_.clear();
  writes_.clear();
  spares_.clear();
  ++standing_.read_generation;
  ++standing_.write_generation;
  standing_.lease_until_ms = 0;
  host_.standing(standing_);
  fail_finish_writes();
  start_drain(true, true);
}

// Another server process knows the session but not its locks, and its provisional places are void.
void Mapper::start_restart() {
  owes_upload_ = true;
  barriers_.clear();
  spares_.clear();
  ++standing_.write_generation;
  host_.standing(standing_);
  fail_finish_writes();
}

// Reads in the store, provisional writes and copies of before cannot be uploaded: they end first.
void Mapper::continue_restart() {
  if (state_ != State::draining || !writes_.empty() || !copies_.empty()) return;
  for (const auto& [handle, read] : reads_)
    if (read.in_store) return;
  send_uploads();
}

void Mapper::send_uploads() {
  wire::UploadLocks locks;
  int ranges = 0;
  const auto flush = [&] {
    if (locks.reads_size() == 0) return;
    upload_ids_.insert(next_id_);
    send(wire::MESSAGE_UPLOAD_LOCKS, next_id_++, locks);
    locks.Clear();
    ranges = 0;
  };
  for (const auto& [handle, read] : reads_) {
    if (read.server_id == 0 || read.on_origin.empty()) continue;
    auto* held = locks.add_reads();
    held->set_read_id(read.server_id);
    ranges_to_proto(read.on_origin, *held->mutable_ranges());
    ranges += held->ranges_size();
    if (ranges >= kUploadRanges) flush();
  }
  flush();
  upload_done_id_ = next_id_++;
  send(wire::MESSAGE_UPLOAD_DONE, upload_done_id_, wire::UploadDone());
  state_ = State::uploading;
}

void Mapper::on_upload_reply(const Frame& frame) {
  if (frame.header.request_id == upload_done_id_) {
    owes_upload_ = false;
    upload_done_id_ = 0;
    return become_ready();
  }
  upload_ids_.erase(frame.header.request_id);
  wire::UploadLocksReply reply;
  if (auto status = parse_body(frame, reply); !status.ok()) return host_.hang_up(status);
  if (reply.refused_size() == 0) return;
  ++standing_.read_generation;
  publish();
}

// The server does not want to hear of it (it heard of it on the connection before): what is being
// read is read again, to be on the safe side.
void Mapper::on_upload_error() {
  ++standing_.read_generation;
  publish();
  upload_ids_.clear();
  upload_done_id_ = 0;
  owes_upload_ = false;
  become_ready();
}

void Mapper::become_ready() {
  if (state_ == State::ready) return;
  state_ = State::ready;
  publish();
  if (!drain_under_way_) send_barriers_done();
  finish_evict();
  send_offer();
  pump();
}

void Mapper::publish() {
  standing_.lease_until_ms = lease_from_ms_ + info_->lease_ms - margin_ms(*info_);
  host_.standing(standing_);
}

void Mapper::send_heartbeat(std::uint64_t now_ms) {
  wire::Heartbeat heartbeat;
  heartbeat.set_sent_ms(now_ms);
  heartbeat_id_ = next_id_++;
  heartbeat_sent_ms_ = now_ms;
  next_heartbeat_ms_ = now_ms + info_->heartbeat_ms;
  send(wire::MESSAGE_HEARTBEAT, heartbeat_id_, heartbeat);
}

void Mapper::answer_heartbeat(const Frame& frame) {
  wire::Heartbeat heartbeat;
  if (auto status = parse_body(frame, heartbeat); !status.ok()) return host_.hang_up(status);
  wire::HeartbeatReply reply;
  reply.set_sent_ms(heartbeat.sent_ms());
  append_frame(output_, wire::MESSAGE_HEARTBEAT_REPLY, frame_flags::kReply, frame.header.request_id,
               reply);
}

std::uint64_t Mapper::next_tick_ms() const {
  if (state_ == State::disconnected) return ~std::uint64_t{0};
  if (state_ == State::greeting) return hello_sent_ms_ + kGreetingPatienceMs;
  std::uint64_t next =
      heartbeat_id_ != 0 ? heartbeat_sent_ms_ + info_->lease_ms / 2 : next_heartbeat_ms_;
  if (state_ != State::ready) return next;
  for (const std::uint64_t id : unsent_) {
    const auto it = requests_.find(id);
    if (it != requests_.end() && it->second.not_before_ms > now_ms_)
      next = std::min(next, it->second.not_before_ms);
  }
  return next;
}

void Mapper::tick(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  if (state_ == State::disconnected) return;
  if (state_ == State::greeting) {
    if (now_ms >= hello_sent_ms_ + kGreetingPatienceMs)
      host_.hang_up(Status(Code::unavailable, "the server does not answer"));
    return;
  }
  if (heartbeat_id_ != 0) {
    if (now_ms >= heartbeat_sent_ms_ + info_->lease_ms / 2)
      return host_.hang_up(Status(Code::unavailable, "the server does not answer"));
  } else if (now_ms >= next_heartbeat_ms_) {
    send_heartbeat(now_ms);
  }
  pump();
}

void Mapper::goodbye(std::function<void()> done) {
  goodbye_done_ = std::move(done);
  if (state_ != State::disconnected && state_ != State::greeting) send_goodbye();
}

void Mapper::send_goodbye() {
  if (!copies_.empty()) return;  // comes back here
  goodbye_id_ = next_id_++;
  send(wire::MESSAGE_GOODBYE, goodbye_id_, wire::Goodbye());
}

}  // namespace csnap
