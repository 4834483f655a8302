// SPDX-License-Identifier: Apache-2.0
// Fresh histories on every core: each in one process, which is single-threaded.
#pragma once

#include <cstdint>
#include <functional>

#include "test/sim/history.h"

namespace csnap::sim {

// Runs the histories of seed_of(n) for n = 0, 1, … in `jobs` processes, adding what they report to
// totals, until enough() says so (asked after each) or one goes wrong: false then.
// The caller must have no other thread.
bool run_many(const std::function<std::uint64_t(std::uint64_t n)>& seed_of, unsigned jobs,
              Totals& totals, const std::function<bool()>& enough);

}  // namespace csnap::sim
