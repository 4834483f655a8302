// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/role_commands.h"

#include <iostream>

#include "tools/admin/confirm.h"
#include "tools/admin/patience.h"
#include "tools/admin/replication_report.h"
#include "tools/common/json.h"
#include "tools/stream/origin_target.h"
#include "tools/stream/stream_format.h"

namespace csnap {
namespace {

Status set_role_patiently(Admin& admin, ReplicationRole role) {
  return unless_busy_for_long([&] { return admin.set_role(role); });
}

Status undo_receive(Admin& admin, const AdminCommandLine& line,
                    const UnfinishedReceive& receiving) {
  if (receiving.parent_id == kOrigin)
    return Status(Code::invalid,
                  "the receive of '" + receiving.name +
                      "', a whole volume, is not finished, so there is nothing to promote; go on "
                      "with it, or give it up with csnap-admin receive --abort");
  if (!line.force)
    CSNAP_TRY(confirm("The receive of " + receiving.name +
                          " is not finished. Give it up, and go back to the snapshot before?",
                      "the receive of '" + receiving.name + "' was not given up"));
  CSNAP_ASSIGN(const auto target,
               OriginTarget::open(admin, {line.addresses, false, false, kVolumeFile}));
  return target->roll_back();
}

void tell(const AdminCommandLine& line, ReplicationRole role, bool was) {
  const char* const name = role_name(role);
  if (line.json)
    std::cout << to_json_text({{"role", name}, {"changed", !was}});
  else
    std::cout << "the volume is a " << name << (was ? " already\n" : " now\n");
}

}  // namespace

Status promote(Admin& admin, const AdminCommandLine& line) {
  CSNAP_ASSIGN(const auto status, admin.status());
  const Replication& now = status.replication;
  const bool was = now.role == ReplicationRole::primary;
  if (!was) {
    if (now.receiving && !now.receiving->undone)
      CSNAP_TRY(undo_receive(admin, line, *now.receiving));
    CSNAP_TRY(set_role_patiently(admin, ReplicationRole::primary));
  }
  tell(line, ReplicationRole::primary, was);
  return {};
}

Status demote(Admin& admin, const AdminCommandLine& line) {
  CSNAP_ASSIGN(const auto status, admin.status());
  const bool was = status.replication.role == ReplicationRole::replica;
  if (!was) {
    const Status set = set_role_patiently(admin, ReplicationRole::replica);
    if (set.code() == Code::busy) {
      CSNAP_ASSIGN(const std::string names, who_has_origin(admin));
      return names.empty() ? set : Status(Code::busy, set.message() + " (open: " + names + ")");
    }
    CSNAP_TRY(set);
  }
  tell(line, ReplicationRole::replica, was);
  return {};
}

}  // namespace csnap
