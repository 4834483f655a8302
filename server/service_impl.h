// SPDX-License-Identifier: Apache-2.0
// The service's inside. Only server/service*.cc and server/session*.cc include this.
#pragma once

#include <google/protobuf/arena.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proto/convert.h"
#include "server/service.h"
#include "server/session.h"

namespace csnap {

class Service::Impl {
 public:
  Impl(ServiceOptions the_options, Transport& the_transport);

  // -- loop and connections (service.cc) -----------------------------------------------------
  void set_engine(Engine& the_engine);
  void tick(std::uint64_t now, std::uint64_t wall_ns);
  void end_turn();
  void on_connect(ConnectionId id, PeerRights rights, bool local);
  void on_bytes(ConnectionId id, std::span<const std::byte> bytes);
  void on_disconnect(ConnectionId id);
  void take_output(ConnectionId id, OutputBuffer& out);
  void drain();
  void close_all();
  void log(EngineEvents::Level level, const std::string& text) const;

  Channel* channel(ConnectionId id);
  // Takes frames off the channel as long as it may go on; pauses or resumes reading.
  void take_frames(Channel& c);
  bool may_go_on(const Channel& c) const;
  void go_on_later(Channel& c);
  // Where to append; it will be sent at the end of the turn.
  OutputBuffer& output(Channel& c);
  // Answers with an error; the connection stays.
  void refuse(Channel& c, std::uint64_t request_id, const Status& why, std::uint32_t retry_ms = 0);
  // Sends an error, then closes. Its session, if any, lives on.
  void close_channel(Channel& c, std::uint64_t request_id, const Status& why);
  void forget_channel(Channel& c);
  void detach(Channel& c);

  // -- frames (service_frames.cc) ------------------------------------------------------------
  void handle(Channel& c, const Frame& f);
  void dispatch(Channel& c, const Frame& f);
  void dispatch_data(Channel& c, Session& s, const Frame& f);
  void dispatch_admin(Channel& c, const Frame& f);
  // Whether the request is to be run now. Not: it was refused, or it is running already and is now
  // answered on this channel.
  bool admit(Channel& c, const Frame& f, std::uint64_t chunks);
  // The request is answered: the channel that waits for it, if any does.
  Channel* settle(Channel* c, Requests& requests, std::uint64_t request_id);
  Channel* settle(Session& s, std::uint64_t request_id);
  void reply(Channel& c, std::uint64_t request_id, wire::MessageType type,
             const google::protobuf::MessageLite& body);
  void push(Channel& c, wire::MessageType type, const google::protobuf::MessageLite& body);
  // The frame's message, on the arena until the frame is done with; null when it was refused.
  template <class Message>
  const Message* parse(Channel& c, const Frame& f) {
    auto* message = google::protobuf::Arena::CreateMessage<Message>(&arena);
    const Status parsed = parse_body(f, *message);
    if (parsed.ok()) return message;
    refuse(c, f.header.request_id, parsed);
    return nullptr;
  }

  // -- sessions (session_open.cc, session.cc) ------------------------------------------------
  void on_hello(Channel& c, const Frame& f);
  Status check_hello(const Channel& c, const wire::Hello& hello) const;
  void open_session(Channel& c, const wire::Hello& hello);
  void start_session(Channel& c, const Uuid& id, SnapshotId volume, const wire::Hello& hello);
  void opened(const Uuid& id, const Result<ClientKey>& key);
  Result<SnapshotId> resolve(const wire::VolumeName& name) const;
  bool is_absent(const Uuid& session) const;  // known from before the restart, and not back yet
  void resume(Channel& c, Session& s, const wire::Hello& hello);
  // The channel becomes the session's; an older one is closed.
  void attach(Channel& c, Session& s);
  void welcome(Channel& c, Session* s, bool resumed);
  // Its connection carries no frames any more.
  void begin_stream(Channel& c, const wire::Hello& hello);
  Result<wire::VolumeInfo> volume_info(Session& s) const;
  void describe_devices(google::protobuf::RepeatedPtrField<wire::DeviceInfo>& out) const;
  // What the session's client has not answered yet, if there is such a thing and a connection.
  void push_barrier(Session& s);
  void push_eviction(Session& s);

  Session* session(ClientKey key);
  // It is over: the engine forgets it. why: for its connection, which is closed.
  void end_session(Session& s, const Status& why);
  void on_goodbye(Channel& c, const Frame& f);
  void check_leases();
  void barrier_begin(ClientKey key, std::uint64_t barrier);
  void barrier_end(ClientKey key, std::uint64_t barrier);
  void evict(ClientKey key, const std::string& why);
  void on_barrier_done(Channel& c, Session& s, const Frame& f);
  void on_evict_done(Session& s);
  void on_upload_locks(Channel& c, Session& s, const Frame& f);
  void on_upload_done(Channel& c, Session& s, const Frame& f);

  // -- data path (service_data.cc) -----------------------------------------------------------
  // Whether the session may make the request; else it was refused.
  bool check_data(Channel& c, Session& s, const Frame& f, bool origin, bool write);
  // Answers it if nothing has to wait and all is in order: the usual case, and the most frequent of
  // all questions. That it was asked need not be taken down then.
  bool unique_at_once(Channel& c, Session& s, const Frame& f);
  void on_unique(Channel& c, Session& s, const Frame& f);
  void on_snapshot_read(Channel& c, Session& s, const Frame& f);
  void answer_read(ClientKey key, std::uint64_t request_id, const Result<ReadGrant>& grant);
  void on_finish_read(Channel& c, Session& s, const Frame& f);
  void on_snapshot_write(Channel& c, Session& s, const Frame& f);
  void answer_write(ClientKey key, std::uint64_t request_id, Result<std::vector<WritePiece>> pieces,
                    std::uint64_t spares_wanted);
  void on_finish_write(Channel& c, Session& s, const Frame& f);
  void answer(ClientKey key, std::uint64_t request_id, const Status& status, wire::MessageType type,
              const google::protobuf::MessageLite& body);

  // -- copies by clients (service_copies.cc) ---------------------------------------------------
  bool asks_for_copies(const Channel& c, const Session& s) const;
  void on_offer_copies(Channel& c, Session& s, const Frame& f);
  void on_copy_done(Channel& c, Session& s, const Frame& f);
  void copy(ClientKey key, const CopyOrder& order);

  // -- administration (service_admin.cc) -----------------------------------------------------
  void on_create_snapshot(Channel& c, const Frame& f);
  void on_delete_snapshot(Channel& c, const Frame& f);
  void on_rename_snapshot(Channel& c, const Frame& f);
  void on_list_snapshots(Channel& c, const Frame& f);
  void on_get_status(Channel& c, const Frame& f);
  void on_list_locks(Channel& c, const Frame& f);
  void on_list_clients(Channel& c, const Frame& f);
  void on_dump(Channel& c, const Frame& f);
  void on_check(Channel& c, const Frame& f);
  void on_dump_tree(Channel& c, const Frame& f);
  void on_map_space(Channel& c, const Frame& f);
  void on_seal_snapshot(Channel& c, const Frame& f);
  void on_set_role(Channel& c, const Frame& f);
  void on_set_receiving(Channel& c, const Frame& f);
  void on_set_replica(Channel& c, const Frame& f);
  // What answers such a request once it is done.
  Engine::Done answer_of(const Channel& c, const Frame& f, wire::MessageType type,
                         const google::protobuf::MessageLite& body);
  void answer_admin(ConnectionId id, std::uint64_t request_id, const Status& status,
                    wire::MessageType type, const google::protobuf::MessageLite& body);

  const ServiceOptions options;
  Transport& transport;
  Engine* engine = nullptr;
  std::uint64_t volume_chunks = 0;
  std::uint64_t started_ms = 0;
  std::uint64_t now_ms = 0;
  bool ticked = false;
  bool draining = false;
  std::uint64_t absent_until_ms = 0;  // then the leases from before the restart have run out
  std::uint64_t next_push = 1;

  std::unordered_map<ConnectionId, std::unique_ptr<Channel>> channels;
  std::unordered_map<Uuid, std::unique_ptr<Session>> sessions;
  std::unordered_map<ClientKey, Session*> by_key;

  std::vector<ConnectionId> dirty;
  std::vector<ConnectionId> revisit;
  std::vector<std::pair<ClientKey, ReadId>> unwanted;  // grants that nobody took
  // Closed in this turn: somebody up the stack may still look at them.
  std::vector<std::unique_ptr<Channel>> dead;
  google::protobuf::Arena arena;
  std::vector<ChunkRun> plain;  // of the request being looked at; keeps its memory
};

}  // namespace csnap
