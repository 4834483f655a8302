// SPDX-License-Identifier: Apache-2.0
// csnap-admin promote and demote. Print to standard output.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include "client/csnap.h"
#include "store/status.h"
#include "tools/admin/options.h"

namespace csnap {

// invalid: a first receive is unfinished, so there is nothing to promote.
Status promote(Admin& admin, const AdminCommandLine& line);
// busy: the origin is open for writing.
Status demote(Admin& admin, const AdminCommandLine& line);

}  // namespace csnap
