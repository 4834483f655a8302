// SPDX-License-Identifier: Apache-2.0
// What the clients and the administrator do, at random.
#include <algorithm>
#include <utility>

#include "proto/convert.h"
#include "test/sim/world.h"

namespace csnap::sim {

void World::next_operation() {
  if (operations_ >= profile.operations) {
    done_operating_ = true;
    return;
  }
  Micros gap = random.below(2 * profile.mean_gap_us) + 1;
  if (random.below(40) == 0) gap += random.below(profile.lease_ms * 1500);
  scheduler.in(gap, [this] {
    ++operations_;
    operate();
    next_operation();
  });
}

void World::operate() {
  calamity();
  if (profile.aim && random.below(3) == 0) return operate(profile.aim->op);
  const Shares& s = profile.shares;
  std::uint64_t what = random.below(s.origin_write + s.flush + s.snapshot_read + s.snapshot_write +
                                    s.open + s.leave + s.administrate);
  const auto is = [&](std::uint64_t share) {
    const bool it = what < share;
    what -= share;  // below zero: nobody asks again
    return it;
  };
  if (is(s.origin_write)) return write(true);
  if (is(s.flush)) return write_origin_flush();
  if (is(s.snapshot_read)) return read();
  if (is(s.snapshot_write)) return write(false);
  if (is(s.open)) return open_client();
  if (is(s.leave)) return leave();
  administrate();
}

void World::leave() {
  if (clients_.empty()) return;
  Client& c = *clients_[random.below(clients_.size())];
  if (c.usable()) c.leave();
}

// What an aimed history waits for.
void World::operate(Op op) {
  switch (op) {
    case Op::origin_read:
      if (Client* c = pick_client(true)) return c->start(op, pick_units(false));
      return open_client();
    case Op::flush:
      return write_origin_flush();
    case Op::open:
      return random.below(2) == 0 ? leave() : open_client();
    case Op::create:
    case Op::remove:
    case Op::rename:
    case Op::list:
    case Op::dump:
    case Op::seal:
      if (!admin_.busy()) administrate(op);
      return;
    case Op::recovery:
      if (random.below(8) == 0) stop_server();
      return;
    default:
      return write(random.below(2) == 0);
  }
}

// What goes wrong by itself.
void World::calamity() {
  if (random.chance(profile.client_pause) && !clients_.empty()) {
    Client& c = *clients_[random.below(clients_.size())];
    const Micros time = random.below(3 * profile.lease_ms) * kMilli;
    trace([&] { return "client " + std::to_string(c.number()) + " pauses"; });
    if (c.opened()) c.pause(time);
    coverage.struck(Fault::client_pause);
  }
  if (random.chance(profile.server_pause) && server_.up()) {
    server_.pause(random.below(2 * profile.lease_ms) * kMilli);
    coverage.struck(Fault::server_pause);
  }
  if (random.chance(profile.restart)) stop_server();
  if (random.chance(profile.bit_rot)) metadata_disk().rot(random);
}

// -- clients -------------------------------------------------------------------------------------

Client* World::pick_client(bool origin_client, bool to_write) {
  std::vector<Client*> fit;
  for (const ClientPtr& c : clients_)
    if (c->usable() && c->is_origin() == origin_client && c->actions() < 12 &&
        !(to_write && c->read_only()))
      fit.push_back(c.get());
  return fit.empty() ? nullptr : fit[random.below(fit.size())];
}

World::SnapshotState* World::pick_snapshot() {
  std::vector<SnapshotState*> fit;
  for (auto& [id, state] : snapshots_)
    if (state.created && !state.delete_asked && !state.deleted && !state.renaming)
      fit.push_back(&state);
  return fit.empty() ? nullptr : fit[random.below(fit.size())];
}

// Flushes that lied may have taken it back, and another may have its number since.
World::SnapshotState* World::snapshot_called(SnapshotId id, const std::string& name) {
  const auto found = snapshots_.find(id);
  return found != snapshots_.end() && found->second.names.contains(name) ? &found->second : nullptr;
}

// Often where others are, and of any length.
UnitRun World::pick_units(bool whole) {
  const std::uint64_t per_chunk = (1ULL << profile.chunk_shift) / kUnit;
  const std::uint64_t chunks = profile.origin_chunks;
  std::uint64_t reach = random.below(2) == 0 ? std::max<std::uint64_t>(1, chunks / 8) : chunks;
  if (profile.crowded && random.below(4) != 0) reach = 6;
  const std::uint64_t start = random.below(reach);
  const std::uint64_t most = std::min(chunks - start, profile.longest_run);
  const std::uint64_t count = random.below(3) == 0
                                  ? random.between(1, most)
                                  : random.between(1, std::min<std::uint64_t>(most, 3));
  UnitRun run{start * per_chunk, count * per_chunk};
  if (whole || per_chunk == 1) return run;
  const std::uint64_t head = random.below(per_chunk);
  run.start += head;
  run.count -= head;
  if (run.count > 1) run.count -= random.below(std::min(run.count, per_chunk));
  return run;
}

void World::open_client() {
  if (clients_.size() >= profile.max_clients) return;
  SnapshotState* snapshot = random.below(3) != 0 ? pick_snapshot() : nullptr;
  const SnapshotId id = snapshot ? snapshot->id : kOrigin;
  const std::string name = snapshot ? *snapshot->names.begin() : "origin";
  // Some that look at a snapshot do no more than that.
  const bool read_only = snapshot != nullptr && next_client_ % 4 == 0;
  clients_.push_back(std::make_shared<Client>(*this, next_client_++, id, name, read_only));
  trace([&] { return "client " + std::to_string(clients_.back()->number()) + " opens " + name; });
  const ClientPtr c = clients_.back();
  c->begin();
}

void World::write(bool to_origin) {
  Client* c = pick_client(to_origin, true);
  if (c == nullptr) return open_client();
  const bool whole = random.below(2) == 0;
  const UnitRun units = pick_units(whole);
  // Writes of the same place at the same time are rare elsewhere.
  if (!profile.crowded && model.writing(c->volume(), units) && random.below(4) != 0) return;
  c->start(to_origin ? Op::origin_write
           : whole   ? Op::snapshot_overwrite
                     : Op::snapshot_write,
           units);
}

void World::write_origin_flush() {
  if (clients_.empty()) return open_client();
  Client& c = *clients_[random.below(clients_.size())];
  if (!c.usable()) return;
  c.start(c.is_origin() && random.below(2) == 0 ? Op::origin_read : Op::flush,
          c.is_origin() ? pick_units(false) : UnitRun{});
}

void World::read() {
  Client* c = pick_client(false);
  if (c == nullptr) return open_client();
  UnitRun units = pick_units(false);
  // Some go on in order.
  if (random.below(4) == 0 && read_up_to_ + units.count <= model.units()) units.start = read_up_to_;
  read_up_to_ = units.start + units.count;
  c->start(Op::snapshot_read, units);
}

// -- the administrator ---------------------------------------------------------------------------

void World::administrate() {
  const Shares& s = profile.shares;
  const std::pair<Op, std::uint64_t> shares[] = {
      {Op::create, s.create}, {Op::remove, s.remove}, {Op::rename, s.rename}, {Op::list, s.list},
      {Op::dump, s.dump},     {Op::status, s.status}, {Op::locks, s.locks},   {Op::seal, s.seal}};
  std::uint64_t sum = 0;
  for (const auto& [op, share] : shares) sum += share;
  std::uint64_t what = random.below(sum);
  if (admin_.busy()) return;
  for (const auto& [op, share] : shares) {
    if (what < share) return administrate(op);
    what -= share;
  }
}

void World::administrate(Op op) {
  switch (op) {
    case Op::create:
      return create();
    case Op::remove:
      return remove();
    case Op::rename:
      return rename();
    case Op::seal:
      return seal();
    default:
      return look(op);
  }
}

void World::create() {
  std::size_t live = creating_.size();
  for (const auto& [id, s] : snapshots_) live += !s.deleted;
  if (live >= profile.max_snapshots) return remove();
  const std::string name = "s" + std::to_string(next_name_++);
  auto request = std::make_unique<wire::CreateSnapshot>();
  request->set_name(name);
  creating_.insert(name);
  being_asked_ = name;
  coverage.begin(Op::create);
  admin_.ask(wire::MESSAGE_CREATE_SNAPSHOT, std::move(request), [=, this](const Admin::Answer& a) {
    coverage.end(Op::create);
    note(8, a.known << 8 | static_cast<std::uint64_t>(a.status.code()));
    trace([&] { return "create " + name + ": " + a.status.to_string(); });
    if (!a.status.ok()) {
      judge_error("creating a snapshot", a.status);
      // A failed journal leaves open whether it was done.
      if (a.known && a.status.code() != Code::io_error && creating_.contains(name))
        creating_.erase(creating_.find(name));
      return;
    }
    for (auto& [id, s] : snapshots_) {
      if (!s.names.contains(name)) continue;
      s.created = true;
      s.since = scheduler.now();
      return;
    }
    fail("snapshot " + name + " was acknowledged and never seen");
  });
}

void World::remove() {
  SnapshotState* s = pick_snapshot();
  if (s == nullptr) return;
  const SnapshotId id = s->id;
  const std::string name = *s->names.begin();
  auto request = std::make_unique<wire::DeleteSnapshot>();
  request->set_name(name);
  request->set_force(random.below(4) != 0);
  s->delete_asked = deleting_happens_ = true;
  asked_about_ = id;
  coverage.begin(Op::remove);
  admin_.ask(wire::MESSAGE_DELETE_SNAPSHOT, std::move(request), [=, this](const Admin::Answer& a) {
    coverage.end(Op::remove);
    note(9, a.known << 8 | static_cast<std::uint64_t>(a.status.code()));
    trace([&] { return "delete " + name + ": " + a.status.to_string(); });
    SnapshotState* state = snapshot_called(id, name);
    if (a.status.ok()) {
      if (state != nullptr) state->deleted = true;
      return;
    }
    judge_error("deleting a snapshot", a.status);
    if (state != nullptr && a.known && a.status.code() != Code::io_error &&
        a.status.code() != Code::no_space)
      state->delete_asked = false;
  });
}

void World::rename() {
  SnapshotState* s = pick_snapshot();
  if (s == nullptr) return;
  const SnapshotId id = s->id;
  const std::string from = *s->names.begin(), to = "r" + std::to_string(next_name_++);
  auto request = std::make_unique<wire::RenameSnapshot>();
  request->set_from(from);
  request->set_to(to);
  s->names.insert(to);
  s->renaming = deleting_happens_ = true;
  asked_about_ = id;
  renaming_to_ = to;
  coverage.begin(Op::rename);
  admin_.ask(wire::MESSAGE_RENAME_SNAPSHOT, std::move(request), [=, this](const Admin::Answer& a) {
    coverage.end(Op::rename);
    note(10, a.known << 8 | static_cast<std::uint64_t>(a.status.code()));
    trace([&] { return "rename " + from + " to " + to + ": " + a.status.to_string(); });
    judge_error("renaming a snapshot", a.status);
    SnapshotState* state = snapshot_called(id, from);
    if (state == nullptr) state = snapshot_called(id, to);
    if (state == nullptr) return;
    if (a.status.ok()) {
      state->names = {to};
      state->renaming = false;
    } else if (a.known && a.status.code() != Code::io_error && a.status.code() != Code::no_space) {
      state->names = {from};
      state->renaming = false;
    }
  });
}

void World::keep_looking() {
  scheduler.in(random.below(2 * profile.mean_gap_us) + 1, [this] {
    if (done_operating_) return;
    constexpr Op kLooks[] = {Op::list, Op::dump, Op::status, Op::locks};
    if (!admin_.busy()) look(kLooks[random.below(std::size(kLooks))]);
    keep_looking();
  });
}

// Asks for something and changes nothing.
void World::look(Op op) {
  coverage.begin(op);
  const auto told = [this, op](const Admin::Answer& a) {
    coverage.end(op);
    note(11, static_cast<std::uint64_t>(a.status.code()));
    judge_error(op_name(op), a.status);
    if (op == Op::list && a.status.ok()) check_list(a);
  };
  switch (op) {
    case Op::list:
      return admin_.ask(wire::MESSAGE_LIST_SNAPSHOTS, std::make_unique<wire::ListSnapshots>(),
                        told);
    case Op::dump:
      return admin_.ask(wire::MESSAGE_DUMP_EXCEPTIONS, std::make_unique<wire::DumpExceptions>(),
                        told);
    case Op::status:
      return admin_.ask(wire::MESSAGE_GET_STATUS, std::make_unique<wire::GetStatus>(), told);
    default:
      return admin_.ask(wire::MESSAGE_LIST_LOCKS, std::make_unique<wire::ListLocks>(), told);
  }
}

// What was acknowledged is in the list, under its name.
void World::check_list(const Admin::Answer& a) {
  wire::ListSnapshotsReply reply;
  if (!reply.ParseFromArray(a.body.data(), static_cast<int>(a.body.size())))
    return fail("a list that cannot be parsed");
  std::map<SnapshotId, std::string> listed;
  for (const auto& s : reply.snapshots())
    if (!s.deleting()) listed[SnapshotId(s.id())] = s.name();
  for (const auto& [id, s] : snapshots_) {
    const auto found = listed.find(id);
    if (found == listed.end() && s.created && !s.delete_asked && !s.deleted)
      return fail("snapshot " + *s.names.begin() + " is not in the list");
    if (found != listed.end() && !s.names.contains(found->second))
      return fail("snapshot " + *s.names.begin() + " is listed as " + found->second);
    if (found != listed.end() && s.deleted && !lied_)
      return fail("snapshot " + found->second + " was deleted and is in the list");
  }
}

}  // namespace csnap::sim
