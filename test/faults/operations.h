// SPDX-License-Identifier: Apache-2.0
// Everything that changes a store while a server has it.
#pragma once

#include <vector>

#include "test/faults/ordeal.h"

namespace csnap {

std::vector<Operation> all_operations();

}  // namespace csnap
