// SPDX-License-Identifier: Apache-2.0
// The command line of csnap_sim.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/status.h"

namespace csnap::sim {

struct SimOptions {
  std::vector<std::uint64_t> seeds;  // those named, and those of lists
  double seconds = 0;                // of fresh ones
  unsigned jobs = 1;
  bool twice = false, coverage = false, trace = false, help = false;
};

std::string sim_usage();
// invalid for a wrong command line, and for one that leaves nothing to do.
Result<SimOptions> parse_sim_options(const std::vector<std::string>& arguments);

}  // namespace csnap::sim
