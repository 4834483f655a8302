// SPDX-License-Identifier: Apache-2.0
// From Hello to Welcome: who may come in, and which session that is.
#include <algorithm>
#include <cassert>

#include "proto/text.h"
#include "server/service_impl.h"

namespace csnap {
namespace {

constexpr std::uint64_t kFeatures = 0;       // bits of wire::Feature that this build knows
constexpr std::size_t kMaxClientName = 128;  // bytes
constexpr std::size_t kMaxPath = 4096;       // bytes

std::string list_bits(std::uint64_t bits) {
  std::string text;
  for (unsigned bit = 0; bit < 64; ++bit)
    if (bits >> bit & 1) text += (text.empty() ? "" : ", ") + std::to_string(bit);
  return text;
}

wire::DeviceInfo::Kind kind_of(DeviceDescription::Kind kind) {
  switch (kind) {
    case DeviceDescription::Kind::origin:
      return wire::DeviceInfo::KIND_ORIGIN;
    case DeviceDescription::Kind::store:
      return wire::DeviceInfo::KIND_STORE;
    default:
      return wire::DeviceInfo::KIND_METADATA;
  }
}

}  // namespace

Status Service::Impl::check_hello(const Channel& c, const wire::Hello& hello) const {
  if (c.state != Channel::State::fresh)
    return {Code::invalid, "HELLO is sent once, at the start of a connection"};
  if (hello.protocol_version() == 0)
    return {Code::unsupported, "the client speaks no version of the protocol that there is"};
  if (const auto unknown = hello.features_required() & ~kFeatures; unknown != 0)
    return {
        Code::unsupported,
        "the client requires features that this server does not know: bits " + list_bits(unknown)};
  if (!hello.store().empty()) {
    CSNAP_ASSIGN(const Uuid expected, uuid_from_proto(hello.store()));
    if (expected != engine->store_uuid())
      return {Code::not_found, "this is the server of store " + engine->store_uuid().to_string() +
                                   ", not of " + expected.to_string()};
  }
  if (draining) return {Code::unavailable, "the server is stopping"};
  switch (hello.role()) {
    case wire::ROLE_VOLUME:
      if (!hello.receiving() || c.rights.administer) return {};
      return {Code::denied, "receiving is not allowed on this connection"};
    case wire::ROLE_OBSERVER:
      return {};
    case wire::ROLE_ADMIN:
      if (c.rights.administer) return {};
      return {Code::denied, "administration is not allowed on this connection"};
    case wire::ROLE_STREAM:
      if (c.rights.send_streams) return transport.takes_stream();
      return {Code::denied, "sending streams is not allowed from there (csnapd --streams-from)"};
    default:
      return {Code::invalid, "HELLO does not say what the connection is for (role)"};
  }
}

void Service::Impl::on_hello(Channel& c, const Frame& f) {
  const auto* hello = parse<wire::Hello>(c, f);
  if (hello == nullptr) return;
  if (const Status checked = check_hello(c, *hello); !checked.ok())
    return refuse(c, f.header.request_id, checked);
  c.hello_id = f.header.request_id;
  c.version = std::min(hello->protocol_version(), kProtocolVersion);
  c.client_name = clean_utf8(hello->client_name(), kMaxClientName);
  c.role = hello->role();
  if (c.role == wire::ROLE_VOLUME) return open_session(c, *hello);
  if (c.role == wire::ROLE_STREAM) return begin_stream(c, *hello);
  c.state = Channel::State::open;
  welcome(c, nullptr, false);
}

void Service::Impl::begin_stream(Channel& c, const wire::Hello& hello) {
  // They are with us, and whoever takes the stream would miss them.
  if (c.reader.buffered() > 0)
    return close_channel(c, c.hello_id,
                         Status(Code::invalid, "a stream begins only after WELCOME has come"));
  welcome(c, nullptr, false);
  OutputBuffer last = std::move(c.out);
  const ConnectionId id = c.id;
  StreamRequest request{hello.stream().force(), hello.stream().replica(), c.client_name};
  forget_channel(c);
  transport.hand_over(id, std::move(last), std::move(request));
}

Result<SnapshotId> Service::Impl::resolve(const wire::VolumeName& name) const {
  switch (name.which_case()) {
    case wire::VolumeName::kOrigin:
      if (name.origin()) return kOrigin;
      break;
    case wire::VolumeName::kSnapshotId:
      if (name.snapshot_id() != 0) return SnapshotId(name.snapshot_id());
      break;
    case wire::VolumeName::kSnapshotName: {
      CSNAP_ASSIGN(const Snapshot snapshot, engine->find_snapshot(name.snapshot_name()));
      return snapshot.id;
    }
    default:
      break;
  }
  return Status(Code::invalid, "HELLO does not say which volume to open");
}

void Service::Impl::open_session(Channel& c, const wire::Hello& hello) {
  const auto id = uuid_from_proto(hello.session());
  if (!id.ok()) return refuse(c, c.hello_id, id.status().with_context("session"));
  if (id->is_nil())
    return refuse(c, c.hello_id, Status(Code::invalid, "a session's UUID is not all zeros"));
  const auto volume = resolve(hello.volume());
  if (!volume.ok()) return refuse(c, c.hello_id, volume.status());
  const auto known = sessions.find(*id);
  if (known == sessions.end()) {
    // Were it begun here, and the Welcome lost, the client would next hear that it was resumed, and
    // take what it was granted before its lease ended for granted still.
    if (hello.resume() && !is_absent(*id))
      return refuse(c, c.hello_id, Status(Code::cancelled, "the session is over; begin it anew"));
    return start_session(c, *id, *volume, hello);
  }
  Session& s = *known->second;
  // A session that is still being opened has been granted nothing that could be given up.
  if (!hello.resume() && !s.opening) {
    end_session(s, Status(Code::cancelled, "the session was begun anew on another connection"));
    return start_session(c, *id, *volume, hello);
  }
  if (s.volume != *volume)
    return refuse(c, c.hello_id, Status(Code::invalid, "the session is open on another volume"));
  resume(c, s, hello);
}

void Service::Impl::resume(Channel& c, Session& s, const wire::Hello& hello) {
  attach(c, s);
  s.client_name = c.client_name;
  if (s.opening) {
    c.state = Channel::State::opening;
    return;
  }
  if (!s.uploading) {
    const auto& held = hello.unfinished_reads();
    const std::unordered_set<ReadId> still(held.begin(), held.end());
    for (const ReadId read : s.reads)
      if (!still.contains(read)) engine->finish_read(s.key, read);
    std::erase_if(s.reads, [&](ReadId read) { return !still.contains(read); });
  }
  c.state = Channel::State::open;
  welcome(c, &s, true);
  push_barrier(s);
  push_eviction(s);
}

void Service::Impl::attach(Channel& c, Session& s) {
  if (Channel* old = s.channel; old != nullptr) {
    detach(*old);
    close_channel(*old, 0, Status(Code::cancelled, "the session went on with another connection"));
  }
  s.channel = &c;
  s.heard_ms = now_ms;
  c.session = &s;
}

bool Service::Impl::is_absent(const Uuid& id) const {
  const auto absent = engine->absent_clients();
  return std::ranges::find(absent, id) != absent.end();
}

void Service::Impl::start_session(Channel& c, const Uuid& id, SnapshotId volume,
                                  const wire::Hello& hello) {
  const bool was_here = is_absent(id);
  if (was_here && !hello.resume()) engine->forget_client(id);
  auto& s = *(sessions[id] = std::make_unique<Session>());
  s.id = id;
  s.volume = volume;
  s.client_name = c.client_name;
  s.read_only = hello.read_only() && !hello.receiving();
  s.uploading = was_here && hello.resume();
  attach(c, s);
  c.state = Channel::State::opening;
  const auto access = hello.receiving()   ? Engine::Access::receive
                      : hello.read_only() ? Engine::Access::read
                                          : Engine::Access::write;
  engine->open_client(id, volume, access,
                      [this, id](const Result<ClientKey>& key) { opened(id, key); });
}

void Service::Impl::opened(const Uuid& id, const Result<ClientKey>& key) {
  Session& s = *sessions.at(id);
  Channel* c = s.channel;
  Result<wire::VolumeInfo> info = key.ok() ? volume_info(s) : key.status();
  if (!info.ok()) {
    if (c != nullptr) {
      detach(*c);
      c->state = Channel::State::fresh;
      refuse(*c, c->hello_id, info.status());
      go_on_later(*c);
    }
    sessions.erase(id);
    if (key.ok()) engine->close_client(*key);
    return;
  }
  s.opening = false;
  s.key = *key;
  s.info = std::move(info).value();
  by_key[s.key] = &s;
  if (c == nullptr) return;
  c->state = Channel::State::open;
  welcome(*c, &s, false);
  push_barrier(s);
  push_eviction(s);
  go_on_later(*c);
}

Result<wire::VolumeInfo> Service::Impl::volume_info(Session& s) const {
  wire::VolumeInfo info;
  info.set_id(s.volume.value);
  info.set_size(engine->origin_size());
  if (s.volume == kOrigin) {
    info.set_name("origin");
    info.set_uuid(uuid_to_proto(engine->store_uuid()));
    return info;
  }
  for (const auto& entry : engine->list()) {
    if (entry.snapshot.id != s.volume || (entry.snapshot.deleting && !s.uploading)) continue;
    // It was deleted while the session was away: the session ends by the usual eviction, so that
    // what it has in flight ends first.
    if (entry.snapshot.deleting) s.evicted = "the snapshot was deleted";
    info.set_name(clean_utf8(entry.snapshot.name, kMaxSnapshotName));
    info.set_uuid(uuid_to_proto(entry.snapshot.uuid));
    return info;
  }
  return Status(Code::stale, "the snapshot was deleted");
}

void Service::Impl::welcome(Channel& c, Session* s, bool resumed) {
  wire::Welcome w;
  w.set_protocol_version(c.version);
  w.set_features(0);
  w.set_store(uuid_to_proto(engine->store_uuid()));
  w.set_epoch(engine->epoch().value);
  w.set_incarnation(uuid_to_proto(options.incarnation));
  w.set_chunk_size(1ULL << engine->chunk_shift());
  w.set_lease_ms(options.lease_ms);
  w.set_heartbeat_ms(options.heartbeat_ms);
  w.set_max_frame(kMaxBody);
  w.set_max_request_chunks(static_cast<std::uint32_t>(options.max_request_chunks));
  w.set_max_requests(options.max_requests);
  w.set_max_chunks(static_cast<std::uint32_t>(options.max_chunks));
  w.set_max_reads(options.max_reads);
  w.set_server_name(clean_utf8(options.server_name, kMaxClientName));
  if (c.role == wire::ROLE_VOLUME || c.role == wire::ROLE_ADMIN)
    describe_devices(*w.mutable_devices());
  if (s != nullptr) {
    *w.mutable_volume() = s->info;
    w.set_resumed(resumed);
    w.set_restarted(s->uploading);
    w.set_read_only(s->read_only);
    w.set_copies(asks_for_copies(c, *s));
    log(EngineEvents::Level::debug, "session " + s->id.to_string() + " of " + s->client_name +
                                        (resumed ? " resumed on " : " opened on ") +
                                        s->info.name());
  }
  reply(c, c.hello_id, wire::MESSAGE_WELCOME, w);
}

void Service::Impl::describe_devices(
    google::protobuf::RepeatedPtrField<wire::DeviceInfo>& out) const {
  for (const auto& device : options.devices) {
    auto* info = out.Add();
    info->set_kind(kind_of(device.kind));
    info->set_path(clean_utf8(device.path, kMaxPath));
    info->set_size(device.size);
    info->set_identity(clean_utf8(device.identity, kMaxPath));
  }
}

}  // namespace csnap
