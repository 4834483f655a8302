// SPDX-License-Identifier: Apache-2.0
// csnap-admin send and receive: files, pipes and connections opened, progress shown, results told.
// told: the failure that is returned is in the JSON document already.
#pragma once

#include "client/csnap.h"
#include "store/status.h"
#include "tools/admin/options.h"

namespace csnap {

Status send_snapshot(Admin& admin, const AdminCommandLine& line, bool& told);
Status receive_snapshots(Admin& admin, const AdminCommandLine& line, bool& told);

}  // namespace csnap
