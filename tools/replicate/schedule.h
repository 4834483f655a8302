// SPDX-License-Identifier: Apache-2.0
// When a continuous replication makes snapshots, what they are called, and which of them go. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "client/csnap.h"
#include "store/status.h"

namespace csnap {

// "30s", "15m", "1h", "1d": from a second to a year.
Result<std::chrono::seconds> parse_period(const std::string& text);
// "12 s", "5 min", "3 h 20 min", "2 d 4 h".
std::string format_period(std::chrono::seconds period);

// invalid: names that begin so would be none, or too long.
Status check_prefix(const std::string& prefix);
// PREFIX and the time in UTC, "replica-20261122T034938Z"; with a number behind if there is such a
// snapshot already.
std::string scheduled_name(const std::string& prefix, std::uint64_t ns_since_1970,
                           const Admin::SnapshotList& there);
// Whether scheduled_name() can have made it. So what somebody else called PREFIX... is theirs.
bool is_scheduled_name(const std::string& prefix, const std::string& name);
// Those of that kind beyond the newest `keep`, oldest first, but for some by id.
std::vector<std::string> outdated(const Admin::SnapshotList& list, const std::string& prefix,
                                  std::size_t keep, const std::set<std::uint64_t>& needed);

// Ids of those that streams begin from, one day, and of those after them, which are sent next or
// are being sent, perhaps in part already. to: a server that nothing may be known of yet, so it is
// sent the first whole; empty: none.
std::set<std::uint64_t> needed_for_streams(const Replication& replication,
                                           const Admin::SnapshotList& list, const std::string& to);

// Until the next one is due, so long after the last one of that kind: 0 if that is past, or there
// is none, and never longer than `every`.
std::chrono::nanoseconds until_due(const Admin::SnapshotList& list, const std::string& prefix,
                                   std::chrono::seconds every, std::uint64_t now_ns);
// Before the next attempt, after so many that failed: doubles, from a second up to a minute.
std::chrono::seconds pause_after(unsigned failures);

}  // namespace csnap
