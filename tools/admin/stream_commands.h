// SPDX-License-Identifier: Apache-2.0
// csnap-admin send and receive: files and pipes opened, progress shown, results told.
#pragma once

#include "client/csnap.h"
#include "store/status.h"
#include "tools/admin/options.h"

namespace csnap {

Status send_snapshot(Admin& admin, const AdminCommandLine& line);
Status receive_snapshots(Admin& admin, const AdminCommandLine& line);

}  // namespace csnap
