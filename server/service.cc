// SPDX-License-Identifier: Apache-2.0
// Turns and connections. What frames mean is in service_frames.cc and behind it.
#include "server/service.h"

#include <algorithm>
#include <cassert>

#include "server/service_impl.h"

namespace csnap {

Service::Service(ServiceOptions options, Transport& transport)
    : impl_(std::make_unique<Impl>(std::move(options), transport)) {}
Service::~Service() = default;

void Service::set_engine(Engine& engine) {
  impl_->set_engine(engine);
}
void Service::tick(std::uint64_t now_ms, std::uint64_t wall_ns) {
  impl_->tick(now_ms, wall_ns);
}
void Service::end_turn() {
  impl_->end_turn();
}
void Service::on_connect(ConnectionId connection, PeerRights rights, bool local) {
  impl_->on_connect(connection, rights, local);
}
void Service::on_bytes(ConnectionId connection, std::span<const std::byte> bytes) {
  impl_->on_bytes(connection, bytes);
}
void Service::on_disconnect(ConnectionId connection) {
  impl_->on_disconnect(connection);
}
void Service::take_output(ConnectionId connection, OutputBuffer& out) {
  impl_->take_output(connection, out);
}
std::size_t Service::connections() const {
  return impl_->channels.size();
}
std::size_t Service::sessions() const {
  return impl_->sessions.size();
}
void Service::drain() {
  impl_->drain();
}
void Service::close_all() {
  impl_->close_all();
}
void Service::barrier_begin(ClientKey client, std::uint64_t barrier) {
  impl_->barrier_begin(client, barrier);
}
void Service::barrier_end(ClientKey client, std::uint64_t barrier) {
  impl_->barrier_end(client, barrier);
}
void Service::evict(ClientKey client, const std::string& why) {
  impl_->evict(client, why);
}
void Service::copy(ClientKey client, const CopyOrder& order) {
  impl_->copy(client, order);
}
void Service::log(Level level, const std::string& text) {
  impl_->log(level, text);
}

Service::Impl::Impl(ServiceOptions the_options, Transport& the_transport)
    : options(std::move(the_options)), transport(the_transport) {
  assert(options.heartbeat_ms > 0 && options.lease_ms > options.heartbeat_ms);
  assert(options.max_request_chunks > 0 && options.max_request_chunks <= kMaxWireChunks);
  assert(options.max_chunks >= options.max_request_chunks && options.max_requests > 0);
}

void Service::Impl::set_engine(Engine& the_engine) {
  assert(engine == nullptr);
  engine = &the_engine;
  const std::uint64_t chunk_size = 1ULL << engine->chunk_shift();
  volume_chunks = (engine->origin_size() + chunk_size - 1) / chunk_size;
}

void Service::Impl::tick(std::uint64_t now, std::uint64_t wall_ns) {
  assert(engine != nullptr && now >= now_ms);
  if (!ticked) {
    ticked = true;
    started_ms = now;
    absent_until_ms = now + options.lease_ms;
  } else if (now - now_ms > options.heartbeat_ms) {
    // We were not there to hear anybody. Leases that last longer here than there harm nobody.
    const std::uint64_t gap = now - now_ms;
    absent_until_ms += gap;
    for (auto& [id, s] : sessions) s->heard_ms += gap;
    for (auto& [id, c] : channels) {
      c->heard_ms += gap;
      c->accepted_ms += gap;
    }
  }
  now_ms = now;
  engine->tick(now, wall_ns);
  if (!draining) check_leases();
}

void Service::Impl::end_turn() {
  do {
    for (const auto id : std::exchange(revisit, {})) {
      Channel* c = channel(id);
      if (c == nullptr) continue;
      c->revisit = false;
      take_frames(*c);
    }
    for (const auto& [key, read] : std::exchange(unwanted, {})) engine->finish_read(key, read);
    engine->end_turn();
  } while (!revisit.empty() || !unwanted.empty());
  for (const auto id : std::exchange(dirty, {})) {
    Channel* c = channel(id);
    if (c == nullptr) continue;
    c->dirty = false;
    if (!c->out.empty()) transport.wants_write(id);
  }
  dead.clear();
}

void Service::Impl::on_connect(ConnectionId id, PeerRights rights, bool local) {
  assert(id != 0);
  auto c = std::make_unique<Channel>();
  c->id = id;
  c->rights = rights;
  c->local = local;
  c->accepted_ms = c->heard_ms = now_ms;
  const bool fresh = channels.emplace(id, std::move(c)).second;
  assert(fresh);
}

void Service::Impl::on_bytes(ConnectionId id, std::span<const std::byte> bytes) {
  Channel* c = channel(id);
  if (c == nullptr) return;
  c->reader.feed(bytes);
  take_frames(*c);
}

void Service::Impl::take_frames(Channel& c) {
  while (may_go_on(c)) {
    const auto frame = c.reader.next();
    if (!frame.ok()) return close_channel(c, 0, frame.status());
    if (!frame->has_value()) break;
    handle(c, **frame);
  }
  if (c.state == Channel::State::closed || may_go_on(c) != c.paused) return;
  c.paused = !c.paused;
  if (c.paused)
    transport.pause_read(c.id);
  else
    transport.resume_read(c.id);
}

bool Service::Impl::may_go_on(const Channel& c) const {
  const bool serving = c.state == Channel::State::fresh || c.state == Channel::State::open;
  return serving && c.out.size() < options.max_output;
}

void Service::Impl::go_on_later(Channel& c) {
  if (c.revisit) return;
  c.revisit = true;
  revisit.push_back(c.id);
}

void Service::Impl::on_disconnect(ConnectionId id) {
  if (Channel* c = channel(id)) forget_channel(*c);
}

void Service::Impl::take_output(ConnectionId id, OutputBuffer& out) {
  out.clear();
  Channel* c = channel(id);
  if (c == nullptr) return;
  std::swap(c->out, out);
  if (c->paused) go_on_later(*c);
}

void Service::Impl::drain() {
  draining = true;
  wire::Handover handover;
  handover.set_retry_after_ms(100);
  for (auto& [id, c] : channels)
    if (c->state == Channel::State::open) push(*c, wire::MESSAGE_HANDOVER, handover);
}

void Service::Impl::close_all() {
  while (!channels.empty()) {
    Channel& c = *channels.begin()->second;
    OutputBuffer last = std::move(c.out);
    const ConnectionId id = c.id;
    forget_channel(c);
    transport.close(id, std::move(last));
  }
  dead.clear();
}

void Service::Impl::log(EngineEvents::Level level, const std::string& text) const {
  if (options.log) options.log(level, text);
}

Channel* Service::Impl::channel(ConnectionId id) {
  const auto found = channels.find(id);
  return found == channels.end() ? nullptr : found->second.get();
}

OutputBuffer& Service::Impl::output(Channel& c) {
  if (!c.dirty) {
    c.dirty = true;
    dirty.push_back(c.id);
  }
  return c.out;
}

void Service::Impl::refuse(Channel& c, std::uint64_t request_id, const Status& why,
                           std::uint32_t retry_ms) {
  append_error(output(c), request_id, why, false, retry_ms);
}

void Service::Impl::close_channel(Channel& c, std::uint64_t request_id, const Status& why) {
  log(EngineEvents::Level::info, "closing connection " + std::to_string(c.id) +
                                     (c.client_name.empty() ? "" : " of " + c.client_name) + ": " +
                                     why.to_string());
  append_error(c.out, request_id, why, true);
  OutputBuffer last = std::move(c.out);
  const ConnectionId id = c.id;
  forget_channel(c);
  transport.close(id, std::move(last));
}

void Service::Impl::forget_channel(Channel& c) {
  detach(c);
  c.state = Channel::State::closed;
  const auto found = channels.find(c.id);
  dead.push_back(std::move(found->second));
  channels.erase(found);
}

void Service::Impl::detach(Channel& c) {
  if (c.session == nullptr) return;
  for (auto& [id, request] : c.session->requests.running) request.attached = false;
  // A server that stops does what is left itself, and its engine may be closed by now.
  if (!draining) engine->withdraw_copies(c.session->key);
  c.session->channel = nullptr;
  c.session = nullptr;
}

}  // namespace csnap
