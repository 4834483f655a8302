// SPDX-License-Identifier: Apache-2.0
#include "tools/replicate/replicator.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "store/replication_codec.h"
#include "tools/stream/delivery.h"
#include "tools/stream/sender.h"

namespace csnap {
namespace {

// A receive that was cut off holds the origin there for a moment longer.
constexpr int kTries = 25;
constexpr std::chrono::milliseconds kBetweenTries{200};
// Our own server, before the stream is cut off to go on with later.
constexpr std::chrono::seconds kServerAway{10};

}  // namespace

std::uint64_t wall_clock_ns() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
      duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count());
}

Result<OtherServer> look_at(const std::string& address) {
  AdminOptions options;
  options.addresses = {address};
  options.observer = true;
  CSNAP_ASSIGN(const auto observer, Admin::connect(options));
  CSNAP_ASSIGN(auto status, observer->status());
  CSNAP_ASSIGN(auto list, observer->list());
  return OtherServer{std::move(status.replication), std::move(list)};
}

Status Replicator::bring(Admin& ours, const std::string& name, bool force) {
  for (bool more = true; more; force = false) {  // what follows fits, or something is wrong
    CSNAP_ASSIGN(more, bring_next(
                           ours, [&](const auto&) { return name; }, force));
  }
  return {};
}

Result<bool> Replicator::bring_next(Admin& ours, const Goal& goal, bool force) {
  auto more = try_to_bring_next(ours, goal, force);
  for (int i = 1; i < kTries && more.status().code() == Code::busy; ++i) {
    if (options_.stop && options_.stop()) break;
    std::this_thread::sleep_for(kBetweenTries);
    more = try_to_bring_next(ours, goal, force);
  }
  return more;
}

Result<bool> Replicator::try_to_bring_next(Admin& ours, const Goal& goal, bool force) {
  CSNAP_ASSIGN(const auto other, look_at(options_.to));
  auto beginning = hold();
  CSNAP_ASSIGN(const auto list, ours.list());
  const auto planned = plan_chain(list, other.list, other.replication, goal(list), force);
  if (!planned.ok()) {
    const bool here = planned.status().code() == Code::not_found;
    return here ? planned.status() : planned.status().with_context(options_.to);
  }
  // Also when nothing is to be sent: it may have arrived without our hearing of it.
  CSNAP_TRY(planned->common ? record(ours, other.list.store, *planned->common)
                            : make_room(ours, other.list.store));
  beginning.unlock();
  if (planned->steps.empty()) return false;
  const ChainStep& step = planned->steps.front();
  CSNAP_TRY(send(ours, step, planned->file, force));
  CSNAP_TRY(record(ours, other.list.store, step.snapshot));
  return planned->steps.size() > 1;
}

Status Replicator::send(Admin& ours, const ChainStep& step, const std::string& file, bool force) {
  const std::string& name = step.snapshot.name;
  SendOptions what;
  what.addresses = options_.addresses;
  what.name = name;
  if (step.parent) what.parent = step.parent->name;
  what.file = file;
  what.resume = step.resume;
  what.give_up_after = kServerAway;
  CSNAP_ASSIGN(const auto sender, Sender::prepare(ours, what));
  DeliveryOptions how;
  how.to.addresses = {options_.to};
  how.to.force = force;
  how.to.replica = true;
  how.output = options_.output;
  how.stop = options_.stop;
  const std::uint64_t all = sender->plan().bytes;
  const Delivery delivery =
      deliver(*sender, how, [&](std::uint64_t done) { report_.progress(name, done, all); });
  if (!delivery.status.ok()) return delivery.status.with_context("'" + name + "'");
  report_.sent({name, what.parent, sender->plan().from, sender->data_bytes(), delivery.written});
  return {};
}

Status Replicator::record(Admin& ours, const Uuid& store, const Admin::SnapshotEntry& arrived) {
  CSNAP_ASSIGN(const auto status, ours.status());
  const auto& known = status.replication.replicas;
  const auto found = std::ranges::find(known, store, &Replica::store);
  if (found != known.end() && found->snapshot.value == arrived.id && found->address == options_.to)
    return {};
  return ours.set_replica({store, options_.to, SnapshotId(arrived.id), wall_clock_ns()});
}

// Nothing is there yet, or what was is not: what is on record is of another time. Without room to
// put on record what arrives nothing is sent.
Status Replicator::make_room(Admin& ours, const Uuid& store) {
  CSNAP_ASSIGN(const auto status, ours.status());
  std::size_t others = 0;
  for (const Replica& replica : status.replication.replicas) {
    if (replica.address == options_.to)
      CSNAP_TRY(ours.forget_replica(replica.store));
    else if (replica.store != store)
      ++others;
  }
  return others < kMaxReplicas ? Status() : too_many_replicas();
}

}  // namespace csnap
