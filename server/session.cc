// SPDX-License-Identifier: Apache-2.0
// The life of an open session: leases, barriers, eviction, coming back after a restart, the end.
#include "server/session.h"

#include <algorithm>

#include "proto/text.h"
#include "server/service_impl.h"

namespace csnap {
namespace {

constexpr std::size_t kMaxReason = 512;         // bytes
constexpr std::size_t kNamedInLog = 3;          // sessions in one line
constexpr ReadId kMaxReadId = ReadId{1} << 62;  // no server gave more: ids count up from 1

}  // namespace

Session* Service::Impl::session(ClientKey key) {
  const auto found = by_key.find(key);
  return found == by_key.end() ? nullptr : found->second;
}

void Service::Impl::end_session(Session& s, const Status& why) {
  if (Channel* c = s.channel; c != nullptr) {
    detach(*c);
    if (c->state != Channel::State::closed) close_channel(*c, 0, why);
  }
  const ClientKey key = s.key;
  by_key.erase(key);
  sessions.erase(Uuid(s.id));
  engine->close_client(key);
}

void Service::Impl::on_goodbye(Channel& c, const Frame& f) {
  reply(c, f.header.request_id, wire::MESSAGE_GOODBYE_REPLY, wire::GoodbyeReply());
  Session* s = c.session;
  OutputBuffer last = std::move(c.out);
  const ConnectionId id = c.id;
  forget_channel(c);
  transport.close(id, std::move(last));
  if (s != nullptr) end_session(*s, Status(Code::cancelled, "goodbye"));
}

void Service::Impl::check_leases() {
  const auto ran_out = [this](std::uint64_t since) { return now_ms - since > options.lease_ms; };
  std::vector<ClientKey> over;
  for (const auto& [id, s] : sessions) {
    if (s->opening) continue;
    if (ran_out(s->heard_ms)) {
      over.push_back(s->key);
    } else if (s->channel != nullptr && !s->channel->probed &&
               now_ms - s->channel->heard_ms > 2ULL * options.heartbeat_ms) {
      s->channel->probed = true;
      wire::Heartbeat beat;
      beat.set_sent_ms(now_ms);
      push(*s->channel, wire::MESSAGE_HEARTBEAT, beat);
    }
  }
  for (const ClientKey key : over) {
    Session* s = session(key);
    if (s == nullptr) continue;
    const Status why(Code::stale, "the session's lease of " + std::to_string(options.lease_ms) +
                                      " ms ran out: nothing was heard of its client");
    log(EngineEvents::Level::warning,
        "session " + s->id.to_string() + " of " + s->client_name + " is over: " + why.message());
    end_session(*s, why);
  }
  std::vector<Channel*> mute;
  for (const auto& [id, c] : channels)
    if (c->state == Channel::State::fresh && ran_out(c->accepted_ms)) mute.push_back(c.get());
  for (Channel* c : mute)
    close_channel(*c, 0, Status(Code::cancelled, "no session was opened in time"));
  if (now_ms <= absent_until_ms) return;
  std::string names;
  std::size_t count = 0;
  for (const auto& id : engine->absent_clients()) {
    if (sessions.contains(id)) continue;
    if (count++ < kNamedInLog) names += (names.empty() ? "" : ", ") + id.to_string();
    engine->forget_client(id);
  }
  if (count > kNamedInLog) names += ", ...";
  if (count > 0)
    log(EngineEvents::Level::warning,
        "sessions that did not come back after the restart, and are "
        "over: " +
            std::to_string(count) + " (" + names + ")");
}

void Service::Impl::push_barrier(Session& s) {
  if (!s.barrier || s.channel == nullptr) return;
  wire::BarrierBegin begin;
  begin.set_barrier(*s.barrier);
  push(*s.channel, wire::MESSAGE_BARRIER_BEGIN, begin);
}

void Service::Impl::push_eviction(Session& s) {
  if (!s.evicted || s.channel == nullptr) return;
  wire::Evict message;
  message.set_code(wire::ERROR_STALE);
  message.set_reason(*s.evicted);
  push(*s.channel, wire::MESSAGE_EVICT, message);
}

void Service::Impl::barrier_begin(ClientKey key, std::uint64_t barrier) {
  Session* s = session(key);
  if (s == nullptr) return;
  s->barrier = barrier;
  push_barrier(*s);
}

void Service::Impl::barrier_end(ClientKey key, std::uint64_t barrier) {
  Session* s = session(key);
  if (s == nullptr) return;
  s->barrier.reset();
  if (s->channel == nullptr) return;
  wire::BarrierEnd end;
  end.set_barrier(barrier);
  push(*s->channel, wire::MESSAGE_BARRIER_END, end);
}

void Service::Impl::evict(ClientKey key, const std::string& why) {
  Session* s = session(key);
  if (s == nullptr) return;
  s->evicted = clean_utf8(why, kMaxReason);
  push_eviction(*s);
}

void Service::Impl::on_barrier_done(Channel& c, Session& s, const Frame& f) {
  const auto* done = parse<wire::BarrierDone>(c, f);
  if (done == nullptr || s.barrier != done->barrier()) return;
  s.barrier.reset();
  engine->barrier_done(s.key, done->barrier());
}

void Service::Impl::on_evict_done(Session& s) {
  if (!s.evicted) return;
  // The engine need not be told evicted(): the session's end says that and more.
  end_session(s, Status(Code::stale, *s.evicted));
}

void Service::Impl::on_upload_locks(Channel& c, Session& s, const Frame& f) {
  const auto* m = parse<wire::UploadLocks>(c, f);
  if (m == nullptr) return;
  wire::UploadLocksReply answer;
  for (const auto& held : m->reads()) {
    // Sent again after a lost connection.
    if (s.uploading && s.reads.contains(held.read_id())) continue;
    const auto ranges = ranges_from_proto(held.ranges(), volume_chunks, volume_chunks);
    const bool taken = s.uploading && ranges.ok() && held.read_id() != 0 &&
                       held.read_id() < kMaxReadId && s.reads.size() < options.max_reads &&
                       engine->upload_lock(s.key, held.read_id(), *ranges).ok();
    if (taken)
      s.reads.insert(held.read_id());
    else
      answer.add_refused(held.read_id());
  }
  reply(c, f.header.request_id, wire::MESSAGE_UPLOAD_LOCKS_REPLY, answer);
}

void Service::Impl::on_upload_done(Channel& c, Session& s, const Frame& f) {
  // Sent again after a lost connection, it has nothing left to do.
  if (s.uploading) engine->upload_done(s.key);
  s.uploading = false;
  reply(c, f.header.request_id, wire::MESSAGE_UPLOAD_DONE_REPLY, wire::UploadDoneReply());
}

}  // namespace csnap
