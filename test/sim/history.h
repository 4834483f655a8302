// SPDX-License-Identifier: Apache-2.0
// One history from its seed, and what it adds up to.
#pragma once

#include <cstdint>

#include "test/sim/coverage.h"

namespace csnap::sim {

// Plain data: goes through a pipe as it is.
struct Totals {
  std::uint64_t histories = 0, operations = 0, crashes = 0, given_up = 0;
  std::uint64_t seals = 0, seals_refused = 0;
  Coverage coverage;

  void add(const Totals& other);
};

// An assertion of the code under test, a crash of the program, or a history that does not end:
// says which seed it was and ends the process with exit code 1.
void report_signals();

// Prints what was wrong with the history and how to see it again; false then. twice: it must
// happen the same way again, event for event.
bool run_history(std::uint64_t seed, bool trace, bool twice, Totals& totals);

}  // namespace csnap::sim
