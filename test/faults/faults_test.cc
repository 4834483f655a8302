// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "test/faults/operations.h"

namespace csnap {

TEST_CASE("Whatever I/O of an operation goes wrong, the store is whole and nothing is lost") {
  for (const Operation& operation : all_operations()) undergo_all(operation);
}

}  // namespace csnap
