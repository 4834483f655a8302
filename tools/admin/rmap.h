// SPDX-License-Identifier: Apache-2.0
// The command rmap. Prints to standard output.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include "client/csnap.h"
#include "tools/admin/options.h"

namespace csnap {

// told: a failure is in the document already.
Status tell_rmap(Admin& admin, const AdminCommandLine& line, bool& told);

}  // namespace csnap
