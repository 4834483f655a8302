// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "store/status.h"

namespace csnap {

// The names in the directory `path`, which begins at the open directory `at`, sorted; also "." and
// "..". whole: what errors call it. Any thread.
Result<std::vector<std::string>> names_in(int at, const std::string& path,
                                          const std::string& whole);

}  // namespace csnap
