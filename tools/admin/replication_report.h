// SPDX-License-Identifier: Apache-2.0
// What csnap-admin status says of replication. Pure functions, but that times are told in the time
// zone of the machine.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "client/csnap.h"

namespace csnap {

const char* role_name(ReplicationRole role);

// Name and value of each line. now_ns: nanoseconds since 1970-01-01 00:00 UTC.
std::vector<std::pair<std::string, std::string>> replication_facts(const Admin::StoreStatus& status,
                                                                   const Admin::SnapshotList& list,
                                                                   std::uint64_t now_ns);
boost::json::object replication_json(const Admin::StoreStatus& status,
                                     const Admin::SnapshotList& list, std::uint64_t now_ns);

}  // namespace csnap
