// SPDX-License-Identifier: Apache-2.0
// The engine's front: checks what it is asked for and hands it to the part that does it.
#include "server/engine.h"

#include <algorithm>
#include <utility>

#include "server/data_ops.h"
#include "server/engine_impl.h"

namespace csnap {
namespace {

Status check_ranges(const Engine::Impl& e, std::span<const ChunkRun> ranges) {
  const std::uint64_t chunks = e.state->superblock().origin_chunks();
  if (ranges.empty()) return Status(Code::invalid, "no ranges");
  std::uint64_t total = 0;
  for (const auto& run : ranges) {
    if (run.count == 0) return Status(Code::invalid, "an empty range");
    if (run.start.value >= chunks || run.count > chunks - run.start.value)
      return Status(Code::out_of_range, "chunks " + std::to_string(run.start.value) + "+" +
                                            std::to_string(run.count) +
                                            " lie beyond the volume's " + std::to_string(chunks));
    total += run.count;
    if (total > e.options.max_request_chunks)
      return Status(Code::invalid, "more than " + std::to_string(e.options.max_request_chunks) +
                                       " chunks in one request");
  }
  return {};
}

// What every request of the data path is checked for.
Status check_request(Engine::Impl& e, const ClientState* c, bool on_origin,
                     std::span<const ChunkRun> ranges) {
  if (!c) return Status(Code::stale, "the session is over");
  if (e.stopping) return Status(Code::unavailable, "the server is stopping");
  if ((c->volume == kOrigin) != on_origin)
    return Status(Code::invalid, on_origin ? "this session is open on a snapshot"
                                           : "this session is open on the origin");
  if (!on_origin && !e.live_volume(*c)) return Engine::Impl::volume_deleted();
  return check_ranges(e, ranges);
}

}  // namespace

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

std::size_t Engine::poll() {
  return impl_->poll();
}
void Engine::end_turn() {
  impl_->end_turn();
}
void Engine::tick(std::uint64_t now_ms, std::uint64_t wall_ns) {
  impl_->now_ms = now_ms;
  impl_->wall_ns = wall_ns;
  impl_->drop_stale_check();
  impl_->client_copies->take_back(impl_->options.copy_patience_ms);
}
bool Engine::idle() const {
  return impl_->quiet() && impl_->deleter->idle();
}
Status Engine::close() {
  return impl_->close();
}

std::optional<std::uint64_t> Engine::wants_turn_us() const {
  if (impl_->options.clock_us && impl_->has_released()) return impl_->options.clock_us();
  return impl_->committer->gathers_until_us();
}

std::vector<int> Engine::event_fds() const {
  std::vector<int> fds;
  for (const Device* device : impl_->all_devices())
    if (device->event_fd() >= 0) fds.push_back(device->event_fd());
  return fds;
}

void Engine::open_client(const Uuid& id, SnapshotId volume, Access access, Opened done) {
  impl_->open_client(id, volume, access, std::move(done));
}

Status Engine::upload_lock(ClientKey client, ReadId id, std::span<const ChunkRun> on_origin) {
  ClientState* c = impl_->client(client);
  if (!c) return Status(Code::stale, "the session is over");
  if (c->settled)
    return Status(Code::unavailable, "read locks can be uploaded only after a restart, and once");
  if (c->volume == kOrigin)
    return Status(Code::invalid, "a session on the origin has no read locks");
  CSNAP_TRY(check_ranges(*impl_, on_origin));
  if (id >= impl_->first_read) return Status(Code::invalid, "no server before this one gave it");
  if (!c->reads.contains(id)) c->reads[id] = impl_->quarantine.begin_read();
  for (const auto& run : on_origin) impl_->locks.lock({client, id}, run);
  return {};
}

void Engine::upload_done(ClientKey client) {
  if (ClientState* c = impl_->client(client)) impl_->settle(*c);
}

void Engine::close_client(ClientKey client) {
  impl_->close_client(client);
}
void Engine::forget_client(const Uuid& id) {
  impl_->forget_client(id);
}

std::vector<Uuid> Engine::absent_clients() const {
  std::vector<Uuid> ids;
  for (const auto& [id, volume] : impl_->absent) ids.push_back(id);
  return ids;
}

void Engine::origin_write(ClientKey client, std::vector<ChunkRun> ranges, Done done) {
  ClientState* c = impl_->client(client);
  const Status ok = check_request(*impl_, c, true, ranges);
  if (!ok.ok()) return done(ok);
  start_origin_write(*impl_, *c, std::move(ranges), std::move(done));
}

bool Engine::origin_write_at_once(ClientKey client, std::span<const ChunkRun> ranges) {
  const ClientState* c = impl_->client(client);
  return check_request(*impl_, c, true, ranges).ok() && grant_at_once(*impl_, ranges);
}

void Engine::snapshot_read(ClientKey client, std::vector<ChunkRun> ranges, ReadDone done,
                           std::uint64_t ahead) {
  ClientState* c = impl_->client(client);
  const Status ok = check_request(*impl_, c, false, ranges);
  if (!ok.ok()) return done(ok);
  start_snapshot_read(*impl_, *c, std::move(ranges), std::move(done), ahead);
}

void Engine::finish_read(ClientKey client, ReadId id) {
  if (ClientState* c = impl_->client(client)) impl_->finish_read(*c, id);
}

StoreRun Engine::spare_places(ClientKey client, std::uint64_t wanted) {
  // Of what is free, a small part may lie idle with clients.
  constexpr std::uint64_t kFreePerSpare = 64;
  ClientState* c = impl_->client(client);
  if (!c || c->evicted) return {};
  const std::uint64_t most = impl_->state->data().free_chunks() / kFreePerSpare;
  return impl_->take_from_pool(*c, std::min(wanted, most));
}

void Engine::snapshot_write(ClientKey client, std::vector<ChunkRun> ranges, bool overwrite,
                            WriteDone done) {
  ClientState* c = impl_->client(client);
  const Status ok = check_request(*impl_, c, false, ranges);
  if (!ok.ok()) return done(ok);
  start_snapshot_write(*impl_, *c, std::move(ranges), overwrite, std::move(done));
}

void Engine::finish_write(ClientKey client, std::vector<WrittenRun> runs, Done done) {
  ClientState* c = impl_->client(client);
  std::vector<ChunkRun> ranges;
  for (const auto& run : runs) ranges.push_back(run.chunks);
  const Status ok = check_request(*impl_, c, false, ranges);
  if (!ok.ok()) return done(ok);
  for (const auto& run : runs) {
    if (run.crcs.size() != run.chunks.count)
      return done(Status(Code::invalid, "not one checksum for each chunk"));
    if (!impl_->in_pool(*c, {run.store, run.chunks.count}))
      return done(Status(Code::stale, "the place is not this session's; write again"));
  }
  start_finish_write(*impl_, *c, std::move(runs), std::move(done));
}

void Engine::offer_copies(ClientKey client, std::span<const CopyId> under_way) {
  if (ClientState* c = impl_->client(client)) impl_->client_copies->offer(*c, under_way);
}

void Engine::withdraw_copies(ClientKey client) {
  if (ClientState* c = impl_->client(client)) impl_->client_copies->withdraw(*c);
}

Status Engine::copied(ClientKey client, CopyId id, Result<std::vector<std::uint32_t>> crcs) {
  ClientState* c = impl_->client(client);
  return c ? impl_->client_copies->done(*c, id, std::move(crcs)) : Status();
}

void Engine::barrier_done(ClientKey client, std::uint64_t id) {
  impl_->barrier->done(client, id);
}

void Engine::evicted(ClientKey client) {
  if (ClientState* c = impl_->client(client)) c->evicted = !impl_->live_volume(*c);
}

void Engine::create_snapshot(const std::string& name, std::optional<Uuid> receiver,
                             SnapshotDone done) {
  if (impl_->stopping) return done(Status(Code::unavailable, "the server is stopping"));
  impl_->barrier->create(name, receiver, std::move(done));
}

Result<Snapshot> Engine::find_snapshot(const std::string& name) const {
  if (const Snapshot* snapshot = impl_->state->snapshots().find_live(name)) return *snapshot;
  return Status(Code::not_found, "there is no snapshot named '" + name + "'");
}

void Engine::check(const CheckRequest& request, std::function<void(Result<CheckPage>)> done) {
  if (impl_->stopping) return done(Status(Code::unavailable, "the server is stopping"));
  start_check(*impl_, request, std::move(done));
}

void Engine::dump(Chunk from, std::size_t limit, std::function<void(Result<DumpPage>)> done) {
  if (impl_->stopping) return done(Status(Code::unavailable, "the server is stopping"));
  start_dump(*impl_, from, limit, std::move(done));
}

void Engine::dump_tree(Chunk from, std::size_t limit, std::function<void(Result<TreePage>)> done) {
  if (impl_->stopping) return done(Status(Code::unavailable, "the server is stopping"));
  start_dump_tree(*impl_, from, limit, std::move(done));
}

void Engine::map_space(std::uint64_t from, std::size_t limit,
                       std::function<void(Result<SpacePage>)> done) {
  if (impl_->stopping) return done(Status(Code::unavailable, "the server is stopping"));
  start_map_space(*impl_, from, limit, std::move(done));
}

const Uuid& Engine::store_uuid() const {
  return impl_->state->superblock().uuid;
}
Epoch Engine::epoch() const {
  return impl_->state->superblock().epoch;
}
std::uint64_t Engine::origin_size() const {
  return impl_->state->superblock().origin_size;
}
unsigned Engine::chunk_shift() const {
  return impl_->state->superblock().chunk_shift;
}

}  // namespace csnap
