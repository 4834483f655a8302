// SPDX-License-Identifier: Apache-2.0
// Opening what the user named, and dumping it.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include "store/status.h"
#include "tools/dump/options.h"

namespace csnap {

// busy when a server has the store open. A file that was named as output is there under its name
// only when it is whole.
Status run_dump(const DumpToolOptions& options);

}  // namespace csnap
