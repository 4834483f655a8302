// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/replication_report.h"

#include <boost/json/array.hpp>
#include <chrono>

#include "tools/admin/report.h"
#include "tools/replicate/lag.h"
#include "tools/replicate/schedule.h"
#include "tools/stream/origin_target.h"

namespace csnap {
namespace {

namespace json = boost::json;

const Admin::SnapshotEntry* last_received(const Admin::SnapshotList& list) {
  const Admin::SnapshotEntry* last = nullptr;
  for (const auto& entry : list.snapshots)
    if (!entry.deleting && entry.received && (!last || entry.id > last->id)) last = &entry;
  return last;
}

// Of what is not undone.
const UnfinishedReceive* unfinished(const Replication& replication) {
  const auto& receiving = replication.receiving;
  return receiving && !receiving->undone ? &*receiving : nullptr;
}

unsigned percent_of(const UnfinishedReceive& receiving, std::uint64_t size) {
  if (size == 0) return 0;
  return static_cast<unsigned>(100.0 * static_cast<double>(receiving.offset) /
                               static_cast<double>(size));
}

std::string lag_text(const Lag& lag) {
  const std::string newest = lag.newest ? *lag.newest : "a snapshot that is no more";
  if (lag.missing == 0) return newest + ", in step";
  const auto behind =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::nanoseconds(lag.behind_ns));
  return newest + ", " + std::to_string(lag.missing) +
         (lag.missing == 1 ? " snapshot" : " snapshots") + " missing, " + format_period(behind) +
         " behind";
}

}  // namespace

const char* role_name(ReplicationRole role) {
  switch (role) {
    case ReplicationRole::primary:
      return "primary";
    case ReplicationRole::replica:
      return "replica";
    default:
      return "none";
  }
}

std::vector<std::pair<std::string, std::string>> replication_facts(const Admin::StoreStatus& status,
                                                                   const Admin::SnapshotList& list,
                                                                   std::uint64_t now_ns) {
  std::vector<std::pair<std::string, std::string>> facts;
  const Replication& replication = status.replication;
  if (replication.role != ReplicationRole::none)
    facts.emplace_back("role", role_name(replication.role));
  if (const auto* last = last_received(list))
    facts.emplace_back("received", last->name + ", at " + format_time(last->created_ns));
  if (const auto* now = unfinished(replication))
    facts.emplace_back("receiving",
                       now->name + ", " + std::to_string(percent_of(*now, status.origin_size)) +
                           " %, " + (token_of(*now) ? "can be gone on with" : "must begin anew"));
  for (const Replica& replica : replication.replicas)
    facts.emplace_back("replica", replica.address + ": " + lag_text(lag_of(replica, list, now_ns)));
  return facts;
}

json::object replication_json(const Admin::StoreStatus& status, const Admin::SnapshotList& list,
                              std::uint64_t now_ns) {
  const Replication& replication = status.replication;
  json::object object{{"role", role_name(replication.role)}};
  if (const auto* last = last_received(list))
    object["received"] = {{"name", last->name}, {"at_ns", last->created_ns}};
  if (const auto* now = unfinished(replication))
    object["receiving"] = {{"name", now->name},
                           {"offset", now->offset},
                           {"percent", percent_of(*now, status.origin_size)},
                           {"resumable", token_of(*now).has_value()}};
  json::array replicas;
  for (const Replica& replica : replication.replicas) {
    const Lag lag = lag_of(replica, list, now_ns);
    replicas.emplace_back(json::object{
        {"store", replica.store.to_string()},
        {"address", replica.address},
        {"newest", lag.newest ? json::value(json::string(*lag.newest)) : json::value()},
        {"newest_id", std::to_string(replica.snapshot.value)},
        {"at_ns", replica.at_ns},
        {"missing", lag.missing},
        {"behind_ns", lag.behind_ns},
        {"in_step", lag.missing == 0}});
  }
  object["replicas"] = std::move(replicas);
  return object;
}

}  // namespace csnap
