// SPDX-License-Identifier: Apache-2.0
// Sealed snapshots: a UUID and a transid that were told stand for one content for ever, until the
// snapshot is written to, and no transid is told of two.
#include <algorithm>
#include <utility>

#include "test/sim/world.h"

namespace csnap::sim {

// Who may write to it is asked to go first, or not.
void World::seal() {
  const SnapshotState* s = pick_snapshot();
  // Rather one that is in use.
  const Client* user = random.below(2) == 0 ? pick_client(false, true) : nullptr;
  if (user != nullptr && snapshots_.contains(user->volume())) s = &snapshots_.at(user->volume());
  if (s == nullptr) return create();
  if (s->deleted || s->delete_asked) return;
  if (random.below(3) == 0) return ask_seal(s->id);
  for (const ClientPtr& c : std::vector<ClientPtr>(clients_))
    if (c->volume() == s->id && !c->read_only() && c->usable()) c->leave();
  seal_when_left(s->id, 100);
}

void World::seal_when_left(SnapshotId id, unsigned patience) {
  const bool open = std::any_of(clients_.begin(), clients_.end(), [&](const ClientPtr& c) {
    return c->volume() == id && !c->read_only();
  });
  if (!open && !admin_.busy()) return ask_seal(id);
  if (patience == 0) return;
  scheduler.in(random.below(4 * kMilli) + 1, [=, this] { seal_when_left(id, patience - 1); });
}

void World::ask_seal(SnapshotId id) {
  const auto found = snapshots_.find(id);
  if (admin_.busy() || found == snapshots_.end() || found->second.names.size() > 1) return;
  const std::string name = *found->second.names.begin();
  auto request = std::make_unique<wire::SealSnapshot>();
  request->set_name(name);
  coverage.begin(Op::seal);
  admin_.ask(wire::MESSAGE_SEAL_SNAPSHOT, std::move(request), [=, this](const Admin::Answer& a) {
    coverage.end(Op::seal);
    note(12, a.known << 8 | static_cast<std::uint64_t>(a.status.code()));
    trace([&] { return "seal " + name + ": " + a.status.to_string(); });
    judge_error("sealing a snapshot", a.status);
    seals_refused_ += a.known && a.status.code() == Code::busy;
    if (a.status.ok()) sealed(id, a);
  });
}

void World::sealed(SnapshotId id, const Admin::Answer& a) {
  wire::SealSnapshotReply reply;
  if (!reply.ParseFromArray(a.body.data(), static_cast<int>(a.body.size())))
    return fail("a sealed snapshot that cannot be parsed");
  const std::uint64_t transid = reply.snapshot().transid();
  trace([&] { return "it is sealed as " + std::to_string(transid); });
  if (lied_ || context.damaged) return;
  if (reply.snapshot().id() != id.value) return fail("another snapshot was sealed");
  if (transid < id.value) return fail("a snapshot has a transid below its id");
  const auto [owner, first] = transids_.try_emplace(transid, id);
  if (owner->second != id)
    return fail("transid " + std::to_string(transid) + " was told of two snapshots");
  seals_ += first && transid != id.value;
  // Somebody may have been faster.
  if (reply.snapshot().written()) return;
  contents_.try_emplace({id, transid}, std::nullopt);
  if (!server_.up()) return;
  // What somebody who reads it now may see.
  const auto copy = [](const Disk& disk) { return disk.volume()->clone(); };
  Model expected = model;
  const std::string wrong = check_recovered(
      {copy(*origin), copy(*store), metadata ? copy(*metadata) : nullptr}, expected, true, false);
  if (!wrong.empty() && !context.damaged)
    fail("if the server were killed after a seal, the store were wrong: " + wrong);
}

// Transids of what a recovery found.
std::string World::check_transids(const StoreState& state) const {
  if (lied_ || context.damaged) return {};
  std::map<std::uint64_t, SnapshotId> found;
  for (const Snapshot& s : state.snapshots().all()) {
    if (s.transid < s.id.value || s.transid >= state.superblock().next_snapshot.value)
      return "snapshot " + s.name + " has the transid " + std::to_string(s.transid);
    if (!found.try_emplace(s.transid, s.id).second)
      return "two snapshots have the transid " + std::to_string(s.transid);
    const auto told = transids_.find(s.transid);
    if (told != transids_.end() && told->second != s.id)
      return "transid " + std::to_string(s.transid) + " was told of another snapshot";
    const auto later = contents_.upper_bound({s.id, s.transid});
    if (later != contents_.end() && later->first.first == s.id)
      return "snapshot " + s.name + " has the transid " + std::to_string(s.transid) + ", and " +
             std::to_string(later->first.second) + " was told";
  }
  return {};
}

// The whole content of a live snapshot, as a recovery found it.
std::string World::check_content(const Snapshot& s, std::uint64_t digest) {
  if (s.written || lied_ || context.damaged || origin->lied() || origin->lying()) return {};
  const auto told = contents_.find({s.id, s.transid});
  if (told == contents_.end()) return {};
  if (!told->second) told->second = digest;
  if (*told->second == digest) return {};
  return "snapshot " + s.name + " is sealed as " + std::to_string(s.transid) +
         " and does not hold any more what it held";
}

}  // namespace csnap::sim
