// SPDX-License-Identifier: Apache-2.0
// Opening what the user named, and checking it.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include "server/check.h"
#include "tools/check/options.h"

namespace csnap {

// busy when a server has the store open.
Result<CheckReport> run_check(const CheckToolOptions& options);

}  // namespace csnap
