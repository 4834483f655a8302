// SPDX-License-Identifier: Apache-2.0
// Opening what the user named, and restoring it.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include <string>

#include "server/restore.h"
#include "tools/restore/options.h"

namespace csnap {

// busy when a server has the store open; exists when there is something on the devices and
// options.force is not set.
Result<Restored> run_restore(const RestoreToolOptions& options);

std::string restore_report_text(const RestoreToolOptions& options, const Restored& restored);
std::string restore_report_json(const RestoreToolOptions& options, const Restored& restored);

}  // namespace csnap
