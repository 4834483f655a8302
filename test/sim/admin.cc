// SPDX-License-Identifier: Apache-2.0
#include "test/sim/admin.h"

#include <utility>

#include "test/sim/world.h"

namespace csnap::sim {

void Admin::ask(wire::MessageType type, std::unique_ptr<google::protobuf::MessageLite> request,
                Told told) {
  type_ = type;
  request_ = std::move(request);
  told_ = std::move(told);
  sent_ = false;
  // A connection may be half open: who hears nothing for long gives up.
  world_.scheduler.in(10 * world_.profile.lease_ms * kMilli, [this, number = ++asked_] {
    if (number == asked_ && busy()) reset();
  });
  if (open_)
    send_request();
  else if (link_ == 0)
    link_ = world_.network.connect(this);
}

void Admin::send_request() {
  OutputBuffer out;
  request_id_ = next_id_++;
  append_frame(out, type_, 0, request_id_, *request_);
  sent_ = true;
  world_.network.send(link_, true, std::move(out));
}

void Admin::answer(Answer answer) {
  request_.reset();
  if (const Told told = std::exchange(told_, nullptr)) told(answer);
}

void Admin::reset() {
  if (link_ != 0) world_.network.close(link_, false);
  link_ = 0;
  open_ = false;
  if (!busy()) return;
  answer({Status(Code::unavailable, sent_ ? "nobody knows" : "it was not asked"), 0, {}, !sent_});
}

void Admin::link_opened(LinkId link) {
  if (link != link_) return;
  reader_ = FrameReader();
  wire::Hello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_role(wire::ROLE_ADMIN);
  hello.set_client_name("admin");
  OutputBuffer out;
  append_frame(out, wire::MESSAGE_HELLO, 0, next_id_++, hello);
  world_.network.send(link_, true, std::move(out));
}

void Admin::link_bytes(LinkId link, std::vector<std::byte> bytes) {
  if (link != link_) return;
  reader_.feed(bytes);
  for (;;) {
    auto frame = reader_.next();
    if (!frame.ok()) return world_.fail("an administrator got bytes that are no frame");
    if (!frame->has_value()) return;
    const Frame& f = **frame;
    if (f.header.type == wire::MESSAGE_WELCOME) {
      open_ = true;
      if (busy() && !sent_) send_request();
      continue;
    }
    if (!f.header.reply() || f.header.request_id != request_id_) continue;
    Answer a;
    a.known = true;
    a.type = f.header.type;
    a.body.assign(f.body.begin(), f.body.end());
    if (f.header.error()) {
      wire::Error error;
      if (!parse_body(f, error).ok()) return world_.fail("an error that cannot be parsed");
      a.status = status_of(error);
    }
    request_id_ = 0;
    answer(std::move(a));
  }
}

void Admin::link_closed(LinkId link) {
  if (link != link_) return;
  link_ = 0;
  reset();
}

}  // namespace csnap::sim
