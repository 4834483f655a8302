// SPDX-License-Identifier: Apache-2.0
// The reverse map of the store that the user named, on standard output.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include "store/status.h"
#include "tools/check/options.h"

namespace csnap {

// corrupt when some of it could not be told; busy when a server has the store open.
Status run_check_rmap(const CheckToolOptions& options);

}  // namespace csnap
