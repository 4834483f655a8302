// SPDX-License-Identifier: Apache-2.0
// Opening what the user named, and checking it.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include "server/repair.h"
#include "tools/check/options.h"

namespace csnap {

// busy when a server has the store open.
Result<CheckReport> run_check(const CheckToolOptions& options);
struct RepairOutcome {
  RepairReport report;
  bool written = false;  // the copy, with options.to
};
// The same; with options.to nothing of the store is changed. exists, invalid and busy when what is
// there must stay.
Result<RepairOutcome> run_repair(const CheckToolOptions& options);

}  // namespace csnap
