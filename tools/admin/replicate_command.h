// SPDX-License-Identifier: Apache-2.0
// csnap-admin replicate. Prints to standard output.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include "store/status.h"
#include "tools/admin/options.h"

namespace csnap {

// told: the failure that is returned is in the JSON already.
Status replicate(const AdminCommandLine& line, bool& told);

}  // namespace csnap
