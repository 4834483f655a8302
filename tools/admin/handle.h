// SPDX-License-Identifier: Apache-2.0
// The commands handle and resolve. Print to standard output.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include "client/csnap.h"
#include "tools/admin/options.h"

namespace csnap {

// not_found
Status tell_handle(Admin& admin, const AdminCommandLine& line);
// stale: the volume was deleted; not_found: the handle is of another store.
Status resolve_handle(Admin& admin, const AdminCommandLine& line);

}  // namespace csnap
