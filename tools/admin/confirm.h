// SPDX-License-Identifier: Apache-2.0
// Asking people.
#pragma once

#include <string>

#include "store/status.h"

namespace csnap {

// Somebody at a terminal may have mistyped; a script means what it says. cancelled, with
// `otherwise`, when the answer is no.
Status confirm(const std::string& question, const std::string& otherwise);

}  // namespace csnap
