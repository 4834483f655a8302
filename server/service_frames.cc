// SPDX-License-Identifier: Apache-2.0
// What to do with a frame, by its type; and the bookkeeping of requests that all of them share.
#include <cassert>

#include "server/service_impl.h"
#include "store/crc.h"

namespace csnap {
namespace {

constexpr std::uint32_t kBusyRetryMs = 10;
constexpr std::uint32_t kStoppingRetryMs = 200;

}  // namespace

void Service::Impl::handle(Channel& c, const Frame& f) {
  const FrameHeader& h = f.header;
  c.heard_ms = now_ms;
  c.probed = false;
  if (c.session != nullptr) c.session->heard_ms = now_ms;
  if (c.state == Channel::State::fresh && (h.type != wire::MESSAGE_HELLO || h.flags != 0))
    return close_channel(
        c, h.request_id,
        Status(Code::invalid, "the first message must be HELLO, not " + message_name(h.type)));
  if (h.push()) return refuse(c, h.request_id, Status(Code::invalid, "only a server sends pushes"));
  if (h.reply()) {
    if (h.type == wire::MESSAGE_HEARTBEAT_REPLY) return;
    return refuse(c, h.request_id, Status(Code::invalid, "a reply to nothing that was asked"));
  }
  dispatch(c, f);
  arena.Reset();
}

void Service::Impl::dispatch(Channel& c, const Frame& f) {
  const std::uint16_t type = f.header.type;
  switch (type) {
    case wire::MESSAGE_HELLO:
      return on_hello(c, f);
    case wire::MESSAGE_HEARTBEAT: {
      const auto* beat = parse<wire::Heartbeat>(c, f);
      if (beat == nullptr) return;
      wire::HeartbeatReply answer;
      answer.set_sent_ms(beat->sent_ms());
      return reply(c, f.header.request_id, wire::MESSAGE_HEARTBEAT_REPLY, answer);
    }
    case wire::MESSAGE_GOODBYE:
      return on_goodbye(c, f);
    case wire::MESSAGE_LIST_SNAPSHOTS:
      return on_list_snapshots(c, f);
    case wire::MESSAGE_GET_STATUS:
      return on_get_status(c, f);
    case wire::MESSAGE_UNIQUE:
    case wire::MESSAGE_SNAPSHOT_READ:
    case wire::MESSAGE_FINISH_READ:
    case wire::MESSAGE_SNAPSHOT_WRITE:
    case wire::MESSAGE_FINISH_WRITE:
    case wire::MESSAGE_UPLOAD_LOCKS:
    case wire::MESSAGE_UPLOAD_DONE:
    case wire::MESSAGE_BARRIER_DONE:
    case wire::MESSAGE_EVICT_DONE:
    case wire::MESSAGE_OFFER_COPIES:
    case wire::MESSAGE_COPY_DONE:
      if (c.session != nullptr) return dispatch_data(c, *c.session, f);
      return refuse(c, f.header.request_id,
                    Status(Code::denied, message_name(type) + " needs a connection that has a "
                                                              "volume open (ROLE_VOLUME)"));
    case wire::MESSAGE_CREATE_SNAPSHOT:
    case wire::MESSAGE_DELETE_SNAPSHOT:
    case wire::MESSAGE_RENAME_SNAPSHOT:
    case wire::MESSAGE_LIST_LOCKS:
    case wire::MESSAGE_LIST_CLIENTS:
    case wire::MESSAGE_DUMP_EXCEPTIONS:
    case wire::MESSAGE_CHECK_STORE:
    case wire::MESSAGE_DUMP_TREE:
    case wire::MESSAGE_MAP_SPACE:
    case wire::MESSAGE_SEAL_SNAPSHOT:
    case wire::MESSAGE_SET_ROLE:
    case wire::MESSAGE_SET_RECEIVING:
    case wire::MESSAGE_SET_REPLICA:
      if (c.role == wire::ROLE_ADMIN) return dispatch_admin(c, f);
      return refuse(c, f.header.request_id,
                    Status(Code::denied, message_name(type) + " needs a connection for "
                                                              "administration (ROLE_ADMIN)"));
    default:
      break;
  }
  if (wire::MessageType_IsValid(type) && type != wire::MESSAGE_NONE)
    return refuse(c, f.header.request_id,
                  Status(Code::invalid, "only a server sends " + message_name(type)));
  refuse(c, f.header.request_id,
         Status(Code::unsupported,
                "this server does not know messages of type " + std::to_string(type)));
}

void Service::Impl::dispatch_data(Channel& c, Session& s, const Frame& f) {
  switch (f.header.type) {
    case wire::MESSAGE_UNIQUE:
      return on_unique(c, s, f);
    case wire::MESSAGE_SNAPSHOT_READ:
      return on_snapshot_read(c, s, f);
    case wire::MESSAGE_FINISH_READ:
      return on_finish_read(c, s, f);
    case wire::MESSAGE_SNAPSHOT_WRITE:
      return on_snapshot_write(c, s, f);
    case wire::MESSAGE_FINISH_WRITE:
      return on_finish_write(c, s, f);
    case wire::MESSAGE_UPLOAD_LOCKS:
      return on_upload_locks(c, s, f);
    case wire::MESSAGE_UPLOAD_DONE:
      return on_upload_done(c, s, f);
    case wire::MESSAGE_BARRIER_DONE:
      return on_barrier_done(c, s, f);
    case wire::MESSAGE_OFFER_COPIES:
      return on_offer_copies(c, s, f);
    case wire::MESSAGE_COPY_DONE:
      return on_copy_done(c, s, f);
    default:
      return on_evict_done(s);
  }
}

void Service::Impl::dispatch_admin(Channel& c, const Frame& f) {
  switch (f.header.type) {
    case wire::MESSAGE_CREATE_SNAPSHOT:
      return on_create_snapshot(c, f);
    case wire::MESSAGE_DELETE_SNAPSHOT:
      return on_delete_snapshot(c, f);
    case wire::MESSAGE_RENAME_SNAPSHOT:
      return on_rename_snapshot(c, f);
    case wire::MESSAGE_LIST_LOCKS:
      return on_list_locks(c, f);
    case wire::MESSAGE_LIST_CLIENTS:
      return on_list_clients(c, f);
    case wire::MESSAGE_CHECK_STORE:
      return on_check(c, f);
    case wire::MESSAGE_DUMP_TREE:
      return on_dump_tree(c, f);
    case wire::MESSAGE_MAP_SPACE:
      return on_map_space(c, f);
    case wire::MESSAGE_SEAL_SNAPSHOT:
      return on_seal_snapshot(c, f);
    case wire::MESSAGE_SET_ROLE:
      return on_set_role(c, f);
    case wire::MESSAGE_SET_RECEIVING:
      return on_set_receiving(c, f);
    case wire::MESSAGE_SET_REPLICA:
      return on_set_replica(c, f);
    default:
      return on_dump(c, f);
  }
}

bool Service::Impl::admit(Channel& c, const Frame& f, std::uint64_t chunks) {
  const FrameHeader& h = f.header;
  Requests& requests = c.session != nullptr ? c.session->requests : c.requests;
  const std::uint32_t crc = crc32c(f.body);
  if (const auto found = requests.running.find(h.request_id); found != requests.running.end()) {
    auto& running = found->second;
    if (running.attached || running.type != h.type || running.crc != crc) {
      refuse(c, h.request_id,
             Status(Code::invalid, "request id " + std::to_string(h.request_id) +
                                       " is that of a request that is not answered yet"));
      return false;
    }
    running.attached = true;
    return false;
  }
  if (draining) {
    refuse(c, h.request_id, Status(Code::unavailable, "the server is stopping"), kStoppingRetryMs);
    return false;
  }
  if (requests.running.size() >= options.max_requests ||
      requests.chunks + chunks > options.max_chunks) {
    refuse(c, h.request_id,
           Status(Code::busy,
                  "too many requests at once: " + std::to_string(requests.running.size()) +
                      ", for " + std::to_string(requests.chunks) + " chunks, are unanswered"),
           kBusyRetryMs);
    return false;
  }
  requests.running.emplace(h.request_id, Requests::Running{h.type, crc, chunks, true});
  requests.chunks += chunks;
  return true;
}

Channel* Service::Impl::settle(Channel* c, Requests& requests, std::uint64_t request_id) {
  const auto found = requests.running.find(request_id);
  assert(found != requests.running.end());
  const bool attached = found->second.attached;
  requests.chunks -= found->second.chunks;
  requests.running.erase(found);
  return attached ? c : nullptr;
}

Channel* Service::Impl::settle(Session& s, std::uint64_t request_id) {
  return settle(s.channel, s.requests, request_id);
}

void Service::Impl::reply(Channel& c, std::uint64_t request_id, wire::MessageType type,
                          const google::protobuf::MessageLite& body) {
  append_frame(output(c), type, frame_flags::kReply, request_id, body);
}

void Service::Impl::push(Channel& c, wire::MessageType type,
                         const google::protobuf::MessageLite& body) {
  append_frame(output(c), type, frame_flags::kPush, next_push++, body);
}

}  // namespace csnap
