// SPDX-License-Identifier: Apache-2.0
// The options of csnap-admin replicate alone. Pure.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "store/status.h"

namespace csnap {

struct ReplicateLine {
  std::chrono::seconds every{0};  // 0: not again and again
  bool once = false;              // one round of that
  bool forget = false;
  std::size_t keep = 8;
  std::string prefix = "replica-";
};

void add_replicate_options(boost::program_options::options_description& options);
// words: the command and its names. invalid for an option that is not the command's, or makes no
// sense.
Status take_replicate_options(const boost::program_options::variables_map& values,
                              const std::vector<std::string>& words, ReplicateLine& line);

}  // namespace csnap
