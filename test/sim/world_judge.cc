// SPDX-License-Identifier: Apache-2.0
// What must hold while things go on.
#include <algorithm>
#include <utility>

#include "test/sim/world.h"

namespace csnap::sim {

// -- operations ----------------------------------------------------------------------------------

void World::action_done(Client& client, Action& a, const Status& status) {
  coverage.end(a.op);
  note(0x100 + static_cast<std::uint64_t>(a.op), static_cast<std::uint64_t>(status.code()));
  trace([&] {
    return "client " + std::to_string(client.number()) + ": " + op_name(a.op) + " of units " +
           std::to_string(a.units.start) + "+" + std::to_string(a.units.count) + " of volume " +
           std::to_string(client.volume().value) + " (" + std::to_string(a.model) +
           "): " + status.to_string();
  });
  if (!status.ok()) {
    judge_error(std::string(op_name(a.op)) + " by client " + std::to_string(client.number()),
                status);
    if (!a.done.empty())
      model.fail_write(a.model);
    else if (a.model != 0)
      model.drop_read(a.model);
    return;
  }
  if (!a.done.empty()) {
    const bool commit = a.op != Op::origin_write && !a.in_place;
    model.end_write(a.model, commit ? Model::Durability::by_commit : Model::Durability::by_flush,
                    commit ? a.written : scheduler.now());
  } else if (a.model != 0) {
    const std::uint64_t per_chunk = (1ULL << profile.chunk_shift) / kUnit;
    const std::uint64_t skip =
        a.op == Op::origin_read ? 0 : a.units.start - a.chunks.start.value * per_chunk;
    const auto wrong =
        model.end_read(a.model, a.data.span().subspan(skip * kUnit, a.units.count * kUnit));
    if (!wrong.empty())
      wrong_data("client " + std::to_string(client.number()) + " was given wrong data: " + wrong);
  }
}

void World::action_lost(Client& client, Action& a) {
  coverage.end(a.op);
  trace([&] {
    return "client " + std::to_string(client.number()) + ": " + op_name(a.op) + " of units " +
           std::to_string(a.units.start) + "+" + std::to_string(a.units.count) + " (" +
           std::to_string(a.model) + ") dies with it";
  });
  if (!a.done.empty())
    model.fail_write(a.model);
  else if (a.model != 0)
    model.drop_read(a.model);
}

// Wrong data after damage is forgiven only if a check of the store reports the damage.
void World::wrong_data(const std::string& what) {
  if (!context.damaged) return fail(what);
  if (server_.up()) server_.kill();
  const std::string report = check_recovered(media(), model, true);
  if (report.empty()) return fail(what + " (the medium was damaged, and the checker saw nothing)");
  trace([&] { return what + "; the checker reports: " + report; });
  given_up_ = true;
}

// 10: nothing goes wrong for no reason.
void World::judge_error(const std::string& what, const Status& status) {
  const Profile& p = profile;
  const auto unexplained = [&] { fail(what + " failed for no reason: " + status.to_string()); };
  switch (status.code()) {
    case Code::ok:
    case Code::no_space:
    case Code::unavailable:
    case Code::cancelled:
    case Code::busy:
      return;
    case Code::io_error:
      if (p.read_error + p.write_error + p.flush_error + p.device_dead + p.disk_full == 0 &&
          !context.damaged)
        unexplained();
      return;
    case Code::stale:
    case Code::not_found:
      if (!deleting_happens_ && !context.damaged) unexplained();
      return;
    case Code::corrupt:
    case Code::lost:
      if (!context.damaged) unexplained();
      return;
    default:
      unexplained();
  }
}

// -- the server's side ---------------------------------------------------------------------------

void World::after_server_turn(Engine& engine) {
  if (!creating_.empty()) capture(engine);
}

// A snapshot that the server has just made up: this moment is its point in time.
void World::capture(Engine& engine) {
  for (const SnapshotInfo& info : engine.list()) {
    const SnapshotId id = info.snapshot.id;
    if (snapshots_.contains(id)) continue;
    const auto asked = creating_.find(info.snapshot.name);
    if (asked == creating_.end() && lied_) continue;  // its deletion may have been lost
    if (asked == creating_.end())
      return fail("there is a snapshot '" + info.snapshot.name + "' that nobody asked for");
    creating_.erase(asked);
    for (const ClientPtr& c : clients_) {
      if (!c->is_origin()) continue;
      if (c->writes_origin())
        return fail("client " + std::to_string(c->number()) +
                    " is writing the origin at the point in time of snapshot " +
                    info.snapshot.name);
      if (c->lease_valid() && c->remembers_unique())
        return fail("client " + std::to_string(c->number()) +
                    " remembers unique chunks at the point in time of snapshot " +
                    info.snapshot.name);
    }
    model.capture(id);
    snapshots_[id] = {id, {info.snapshot.name}, false, false, false, false, scheduler.now()};
    note(7, id.value);
    trace([&] { return "point in time of snapshot " + info.snapshot.name; });
  }
}

// After a start: what was acknowledged is there, the rest is or is not.
void World::reconcile() {
  std::map<SnapshotId, std::string> there;
  for (const SnapshotInfo& info : server_.engine().list()) {
    const Snapshot& s = info.snapshot;
    if (!snapshots_.contains(s.id) && !lied_)
      return fail("there is a snapshot '" + s.name + "' of which nothing was seen before");
    if (!s.deleting) there[s.id] = s.name;
  }
  for (auto it = snapshots_.begin(); it != snapshots_.end();) {
    SnapshotState& state = it->second;
    const auto found = there.find(it->first);
    if (found == there.end()) {
      if (state.created && !state.delete_asked && !lied_)
        return fail("snapshot " + *state.names.begin() + " is gone and nobody deleted it");
      if ((!state.created && !state.delete_asked) || lied_) {
        // It never was; the next one gets its number.
        model.forget(it->first);
        it = snapshots_.erase(it);
        continue;
      }
      state.deleted = true;
      deleting_happens_ = true;
    } else {
      if (state.deleted && !lied_)
        return fail("snapshot " + found->second + " was deleted and is back");
      if (!state.names.contains(found->second) && !lied_)
        return fail("snapshot " + *state.names.begin() + " is now called " + found->second);
      state.names = {found->second};
      if (admin_.busy() && asked_about_ == state.id) {
        // A request that has not been sent is still to come.
        if (state.renaming) state.names.insert(renaming_to_);
        ++it;
        continue;
      }
      state.renaming = false;
      if (state.deleted) {
        ++it;
        continue;
      }
      state.created = true;
      state.delete_asked = false;
    }
    ++it;
  }
  // Only a request that has not been sent can still come to something.
  const bool asking = creating_.contains(being_asked_) && admin_.busy();
  creating_.clear();
  if (asking) creating_.insert(being_asked_);
}

// 6: what is freed is not used again while it is read, nor while somebody writes there.
void World::check_server_io(const DiskPort& port, const IoRequest& request) {
  if (request.kind != IoKind::write || port.disk().kind() != DiskKind::store) return;
  const unsigned shift = profile.chunk_shift;
  const std::uint64_t first = request.offset >> shift;
  const std::uint64_t last = (request.offset + request.data.size() - 1) >> shift;
  const StoreRun run{StoreChunk(first), last - first + 1};
  for (const ClientPtr& c : clients_) {
    if (c->reads_store(run))
      return fail("the server writes chunks " + std::to_string(first) + "+" +
                  std::to_string(run.count) + " of the store while client " +
                  std::to_string(c->number()) + " reads there");
    if (c->writes_store(run))
      return fail("the server writes chunks " + std::to_string(first) + "+" +
                  std::to_string(run.count) + " of the store while client " +
                  std::to_string(c->number()) + " writes there");
  }
  if (!Disk::is_metadata(request.data)) check_place(run);
}

// 8: no origin write while a snapshot reader holds the chunk.
void World::check_origin_write(const Client& client, ChunkRun chunks) {
  for (const ClientPtr& c : clients_)
    if (c->reads_origin(chunks))
      return fail("client " + std::to_string(client.number()) + " writes chunks " +
                  std::to_string(chunks.start.value) + "+" + std::to_string(chunks.count) +
                  " of the origin while client " + std::to_string(c->number()) +
                  " reads them for a snapshot");
}

void World::check_client_store_write(const Client& client, StoreRun run) {
  for (const ClientPtr& c : clients_) {
    if (c->volume() == client.volume()) continue;
    if (c->reads_unprotected(run) || c->writes_store(run))
      return fail("client " + std::to_string(client.number()) + " writes chunks " +
                  std::to_string(run.start.value) + "+" + std::to_string(run.count) +
                  " of the store, where client " + std::to_string(c->number()) +
                  " of another snapshot reads or writes");
  }
}

}  // namespace csnap::sim
