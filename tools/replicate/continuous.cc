// SPDX-License-Identifier: Apache-2.0
#include "tools/replicate/continuous.h"

#include <algorithm>
#include <set>

#include "tools/replicate/schedule.h"

namespace csnap {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Those that streams begin from, one day.
std::set<std::uint64_t> needed_for_streams(const Replication& replication) {
  std::set<std::uint64_t> ids;
  for (const Replica& replica : replication.replicas) ids.insert(replica.snapshot.value);
  if (replication.receiving) ids.insert(replication.receiving->parent_id.value);
  return ids;
}

// In use is no failure: it goes another time.
Status remove_unless_used(Admin& admin, const std::string& name, bool& removed) {
  const Status status = admin.remove(name, false);
  removed = status.ok();
  const bool fine = removed || status.code() == Code::busy || status.code() == Code::not_found;
  return fine ? Status() : status.with_context("'" + name + "' cannot be deleted");
}

}  // namespace

Result<std::string> ContinuousReplication::make_snapshot(Admin& ours) {
  CSNAP_ASSIGN(const auto list, ours.list());
  if (const auto other = look_at(to_); other.ok() && other->list.store == list.store)
    return Status(Code::invalid, to_ + ": it is the very server that is to be replicated");
  const std::string name = scheduled_name(options_.prefix, wall_clock_ns(), list);
  CSNAP_ASSIGN([[maybe_unused]] const auto made, ours.create(name));
  made_ = true;
  report_.created(name);
  return name;
}

Status ContinuousReplication::round(bool make) {
  made_ = false;
  AdminOptions options;
  options.addresses = addresses_;
  CSNAP_ASSIGN(const auto ours, Admin::connect(options));
  CSNAP_ASSIGN(const auto status, ours->status());
  if (status.replication.role == ReplicationRole::replica)
    return Status(Code::denied,
                  "this server is a replica itself; what is made here is replicated after "
                  "csnap-admin promote");
  std::string name;
  if (!make) {
    CSNAP_ASSIGN(const auto list, ours->list());
    const auto last = outdated(list, options_.prefix, 0, {});
    if (!last.empty()) name = last.back();
  }
  if (name.empty()) {
    CSNAP_ASSIGN(name, make_snapshot(*ours));
  }
  const Status brought = replicator_.bring(*ours, name, force_);
  // Also while the other one is away, or the store would fill.
  const Status deleted = delete_outdated_here(*ours);
  CSNAP_TRY(brought);
  CSNAP_TRY(deleted);
  force_ = false;
  return delete_outdated_there();
}

Status ContinuousReplication::delete_outdated_here(Admin& ours) {
  CSNAP_ASSIGN(const auto status, ours.status());
  CSNAP_ASSIGN(const auto list, ours.list());
  for (const auto& name :
       outdated(list, options_.prefix, options_.keep, needed_for_streams(status.replication))) {
    bool removed = false;
    CSNAP_TRY(remove_unless_used(ours, name, removed));
    if (removed) report_.deleted(name, false);
  }
  return {};
}

Status ContinuousReplication::delete_outdated_there() {
  CSNAP_ASSIGN(const auto other, look_at(to_));
  auto needed = needed_for_streams(other.replication);
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

void ContinuousReplication::run(const StopSignal& stop) {
  auto due = Clock::now();
  unsigned failures = 0;
  std::string told;  // why it does not work
  while (!stop.came()) {
    const Status status = round(Clock::now() >= due);
    // What was missed is not made up for.
    if (made_) due = std::max(due + options_.every, Clock::now());
    if (stop.came()) return;
    if (status.ok() && !told.empty()) report_.going_on();
    if (!status.ok() && told != status.message()) report_.failing(status);
    told = status.message();
    failures = status.ok() ? 0 : failures + 1;
    // Also while the other one is away there are points in time.
    auto pause = std::chrono::ceil<milliseconds>(due - Clock::now());
    if (!status.ok()) pause = std::min<milliseconds>(pause, pause_after(failures));
    if (stop.wait_for(std::max(pause, milliseconds(0)))) return;
  }
}

}  // namespace csnap
