// SPDX-License-Identifier: Apache-2.0
#include "client/call_channel.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <utility>

namespace csnap {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

CallChannel::CallChannel(std::vector<Address> addresses, wire::Hello hello)
    : addresses_(std::move(addresses)), hello_(std::move(hello)) {
  hello_.set_protocol_version(kProtocolVersion);
}

CallChannel::~CallChannel() {
  close();
  if (released_) ::close(released_->socket);
}

void CallChannel::close() {
  if (!link_) return;
  link_->close();
  link_.reset();
  io_.restart();
  io_.poll();  // what was cancelled lets go of the link
}

Status CallChannel::run_until(const bool& condition, Deadline deadline) {
  io_.restart();
  while (!condition && lost_.ok()) {
    if (io_.run_one_until(deadline) == 0)
      return Status(Code::unavailable, "the server does not answer");
  }
  return lost_;
}

Status CallChannel::connect(milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  Status first;
  for (const Address& address : addresses_) {
    Status status = connect_to(address, deadline);
    if (status.ok()) status = hello(deadline);
    if (status.ok()) return {};
    close();
    if (first.ok()) first = std::move(status);
  }
  return first;
}

Status CallChannel::connect_to(const Address& address, Deadline deadline) {
  close();
  opened_ = false;
  output_.clear();
  lost_ = Status();
  Link::Events events;
  events.opened = [this] { opened_ = true; };
  events.received = [this](const Frame& frame) { on_frame(frame); };
  events.sent = [this] { flush(); };
  events.closed = [this](const Status& why) { lost_ = why; };
  link_ = std::make_shared<Link>(io_, std::move(events));
  link_->open(address);
  return run_until(opened_, deadline);
}

Status CallChannel::hello(Deadline deadline) {
  wire::Welcome welcome;
  return exchange(wire::MESSAGE_HELLO, hello_, welcome, deadline);
}

void CallChannel::flush() {
  if (link_ && !link_->sending() && !output_.empty()) link_->send(std::exchange(output_, {}));
}

void CallChannel::on_frame(const Frame& frame) {
  if (frame.header.push()) return;
  if (!frame.header.reply()) {
    if (frame.header.type != wire::MESSAGE_HEARTBEAT) return;
    append_frame(output_, wire::MESSAGE_HEARTBEAT_REPLY, frame_flags::kReply,
                 frame.header.request_id, wire::HeartbeatReply());
    return flush();
  }
  // Id 0: the server speaks of the connection, and is about to close it.
  if (frame.header.request_id != waiting_for_ && frame.header.request_id != 0) return;
  if (frame.header.error()) {
    wire::Error error;
    outcome_ = parse_body(frame, error);
    if (outcome_.ok()) outcome_ = status_of(error);
  } else if (frame.header.type != expected_type_) {
    outcome_ = Status(Code::corrupt, "unexpected answer: " + message_name(frame.header.type));
  } else {
    outcome_ = parse_body(frame, *reply_);
    // Right now, before anything more is read: what follows is no frame.
    if (outcome_.ok() && hello_.role() == wire::ROLE_STREAM) released_ = link_->release();
  }
  answered_ = true;
}

Status CallChannel::exchange(wire::MessageType type, const google::protobuf::MessageLite& request,
                             google::protobuf::MessageLite& reply, Deadline deadline) {
  waiting_for_ = next_id_++;
  expected_type_ = static_cast<std::uint16_t>(type + 1);
  reply_ = &reply;
  answered_ = false;
  append_frame(output_, type, 0, waiting_for_, request);
  flush();
  CSNAP_TRY(run_until(answered_, deadline));
  return std::exchange(outcome_, Status());
}

Status CallChannel::call(wire::MessageType type, const google::protobuf::MessageLite& request,
                         google::protobuf::MessageLite& reply, milliseconds patience) {
  if (!link_) return Status(Code::unavailable, "not connected");
  // Frames that came meanwhile, and the news that the connection is gone.
  io_.restart();
  io_.poll();
  Status status = lost_;
  if (status.ok()) status = exchange(type, request, reply, steady_clock::now() + patience);
  if (!answered_ || !lost_.ok()) close();
  return status;
}

Link::Released CallChannel::take_connection() {
  assert(released_);
  return *std::exchange(released_, std::nullopt);
}

}  // namespace csnap
