// SPDX-License-Identifier: Apache-2.0
#include "tools/replicate/continuous.h"

#include <algorithm>
#include <thread>

#include "tools/replicate/schedule.h"

namespace csnap {
namespace {

using std::chrono::milliseconds;

// In use is no failure: it goes another time.
Status remove_unless_used(Admin& admin, const std::string& name, bool& removed) {
  const Status status = admin.remove(name, false);
  removed = status.ok();
  const bool fine = removed || status.code() == Code::busy || status.code() == Code::not_found;
  return fine ? Status() : status.with_context("'" + name + "' cannot be deleted");
}

}  // namespace

Result<ContinuousReplication::Here> ContinuousReplication::connect_here() const {
  AdminOptions options;
  options.addresses = addresses_;
  Here here;
  CSNAP_ASSIGN(here.admin, Admin::connect(options));
  CSNAP_ASSIGN(const auto status, here.admin->status());
  here.replica = status.replication.role == ReplicationRole::replica;
  return here;
}

// As when it is started both ways: what is here comes from there.
Status ContinuousReplication::check_passing_on() const {
  CSNAP_ASSIGN(const auto other, look_at(to_));
  if (other.replication.role != ReplicationRole::primary) return {};
  return Status(Code::denied,
                "this server is a replica itself; what is made here is replicated after "
                "csnap-admin promote");
}

Result<bool> ContinuousReplication::is_replica_of(Admin& ours) const {
  CSNAP_ASSIGN(const auto status, ours.status());
  return std::ranges::any_of(status.replication.replicas,
                             [&](const Replica& replica) { return replica.address == to_; });
}

// Before the first snapshot, not later: one that hangs must hold nothing up.
Status ContinuousReplication::check_other(const Admin::SnapshotList& ours) {
  const auto other = look_at(to_);
  if (other.ok() && other->list.store == ours.store)
    return Status(Code::invalid, to_ + ": it is the very server that is to be replicated");
  // As when it is started both ways: the other one's are to come here.
  if (other.ok() && !newest_live(ours) && newest_live(other->list) && !options_.force)
    return Status(Code::exists, "there are snapshots at " + to_ +
                                    ", and none here; csnap-admin demote makes this a replica, and "
                                    "--force has the origin there overwritten");
  other_checked_ = true;
  return {};
}

Status ContinuousReplication::make(Admin& ours, const Admin::SnapshotList& list) {
  if (!other_checked_) CSNAP_TRY(check_other(list));
  const std::string name = scheduled_name(options_.prefix, wall_clock_ns(), list);
  const Status made = ours.create(name).status();
  if (made.ok()) report_.created(name);
  return made.with_context("no snapshot can be made");
}

Status ContinuousReplication::make_if_due(std::optional<Clock::time_point>& due) {
  CSNAP_ASSIGN(const Here here, connect_here());
  const auto& ours = here.admin;
  const auto now = Clock::now();
  if (here.replica) {
    due = now + options_.every;
    return {};
  }
  CSNAP_ASSIGN(const auto list, ours->list());
  if (!due) due = now + until_due(list, options_.prefix, options_.every, wall_clock_ns());
  if (now < *due) return {};
  const Status made = make(*ours, list);
  // What was missed is not made up for.
  if (made.ok()) due = now < *due + options_.every ? *due + options_.every : now + options_.every;
  // Also while the other one is away, or the store would fill.
  const Status deleted = delete_outdated_here(*ours);
  return made.ok() ? deleted : made;
}

Status ContinuousReplication::bring() {
  CSNAP_ASSIGN(const Here here, connect_here());
  const auto& ours = here.admin;
  if (here.replica) CSNAP_TRY(check_passing_on());
  const auto newest = [&](const Admin::SnapshotList& list) {
    const auto names = outdated(list, options_.prefix, 0, {});
    return names.empty() ? std::string() : names.back();
  };
  CSNAP_ASSIGN(const auto list, ours->list());
  bool more = !newest(list).empty();
  while (more) {
    const auto next = replicator_.bring_next(*ours, newest, force_ && !here.replica);
    if (next.status().code() == Code::no_space) {
      CSNAP_ASSIGN(const bool known, is_replica_of(*ours));
      if (known) CSNAP_TRY(delete_outdated_there());
    }
    CSNAP_ASSIGN(more, next);
    force_ = false;
    CSNAP_TRY(delete_outdated_here(*ours));
    CSNAP_TRY(delete_outdated_there());
  }
  return {};
}

Status ContinuousReplication::delete_outdated_here(Admin& ours) {
  const auto nothing_begins = replicator_.hold();
  CSNAP_ASSIGN(const auto status, ours.status());
  CSNAP_ASSIGN(const auto list, ours.list());
  for (const auto& name : outdated(list, options_.prefix, options_.keep,
                                   needed_for_streams(status.replication, list, to_))) {
    bool removed = false;
    CSNAP_TRY(remove_unless_used(ours, name, removed));
    if (removed) report_.deleted(name, false);
  }
  return {};
}

Status ContinuousReplication::delete_outdated_there() {
  CSNAP_ASSIGN(const auto other, look_at(to_));
  auto needed = needed_for_streams(other.replication, other.list, {});
  // It has just come: the next stream begins from it.
  if (const auto* newest = newest_live(other.list)) needed.insert(newest->id);
  const auto names = outdated(other.list, options_.prefix, options_.keep, needed);
  if (names.empty()) return {};
  AdminOptions options;
  options.addresses = {to_};
  const auto admin = Admin::connect(options);
  if (admin.status().code() == Code::denied) {
    if (!denial_told_) report_.cannot_delete(admin.status());
    denial_told_ = true;
    return {};
  }
  CSNAP_TRY(admin.status());
  for (const auto& name : names) {
    bool removed = false;
    CSNAP_TRY(remove_unless_used(**admin, name, removed));
    if (removed) report_.deleted(name, true);
  }
  return {};
}

Status ContinuousReplication::once() {
  CSNAP_ASSIGN(const Here here, connect_here());
  if (here.replica) return bring();
  CSNAP_ASSIGN(const auto list, here.admin->list());
  const Status made = make(*here.admin, list);
  if (!made.ok() && made.code() != Code::no_space) return made;
  CSNAP_TRY(delete_outdated_here(*here.admin));
  CSNAP_TRY(bring());
  return made;
}

void ContinuousReplication::run(const StopSignal& stop) {
  std::thread sender([&] { send_until(stop); });
  std::optional<Clock::time_point> due;
  unsigned failures = 0;
  for (bool stopped = false; !stopped;) {
    const Status status = make_if_due(due);
    if (stop.came()) break;
    tell(making, status);
    if (status.ok()) wake_sender();
    failures = status.ok() ? 0 : failures + 1;
    const auto pause = status.ok() ? *due - Clock::now() : pause_after(failures);
    stopped = stop.wait_for(std::max(std::chrono::ceil<milliseconds>(pause), milliseconds(0)));
  }
  wake_sender();
  sender.join();
}

void ContinuousReplication::wake_sender() {
  {
    const std::lock_guard lock(mutex_);
    more_ = true;
  }
  changed_.notify_all();
}

void ContinuousReplication::send_until(const StopSignal& stop) {
  unsigned failures = 0;
  while (!stop.came()) {
    const Status status = bring();
    if (stop.came()) return;
    tell(sending, status);
    failures = status.ok() ? 0 : failures + 1;
    std::unique_lock lock(mutex_);
    const auto woken = [&] { return more_; };
    if (status.ok())
      changed_.wait(lock, woken);
    else
      changed_.wait_for(lock, pause_after(failures), woken);
    more_ = false;
  }
}

void ContinuousReplication::tell(Part part, const Status& status) {
  const std::lock_guard lock(mutex_);
  std::string& mine = told_[part];
  const std::string& other = told_[1 - part];
  const std::string before = std::exchange(mine, status.message());
  if (!status.ok() && mine != before && mine != other) report_.failing(status);
  if (status.ok() && !before.empty() && other.empty()) report_.going_on();
}

}  // namespace csnap
