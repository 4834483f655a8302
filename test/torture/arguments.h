// SPDX-License-Identifier: Apache-2.0
// The command line that the torture programs share:
//   PROGRAM [--bin FOLDER] [--seconds N | --minutes N] [--seed N] [flags of its own]
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace csnap::torture {

struct Arguments {
  std::string programs;  // the folder with csnapd and the others: this program's own by default
  std::uint64_t seconds = 0;
  std::uint64_t seed = 0;  // printed, so that a run can be had again
  std::set<std::string> flags;

  bool has(const std::string& flag) const { return flags.contains(flag); }
};

// Exits with 2 when it is wrong, with 0 after --help.
Arguments parse_arguments(int argc, char** argv, std::uint64_t default_seconds,
                          const std::vector<std::string>& known_flags);

}  // namespace csnap::torture
