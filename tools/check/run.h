// SPDX-License-Identifier: Apache-2.0
// Opening what the user named, and checking it.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include "server/repair.h"
#include "tools/check/options.h"

namespace csnap {

// busy when a server has the store open.
Result<CheckReport> run_check(const CheckToolOptions& options);
// The same; with options.to nothing of the store is changed. exists when there is something there
// already.
Result<RepairReport> run_repair(const CheckToolOptions& options);

}  // namespace csnap
