// SPDX-License-Identifier: Apache-2.0
// What csnap-mkstore says it made. Pure.
#pragma once

#include <string>

#include "tools/mkstore/make_store.h"

namespace csnap {

// A table, and the command to run next.
std::string report_text(const MkstoreOptions& options, const MadeStore& made);
std::string report_json(const MkstoreOptions& options, const MadeStore& made);

}  // namespace csnap
