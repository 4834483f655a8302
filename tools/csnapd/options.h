// SPDX-License-Identifier: Apache-2.0
// csnapd's command line and configuration file. Pure but for reading the file.
#pragma once

#include <string>
#include <vector>

#include "server/daemon.h"
#include "store/status.h"

namespace csnap {

struct CsnapdOptions {
  DaemonOptions daemon;
  std::string log_level = "info";
  bool help = false;  // when one of these two is set, nothing else is
  bool version = false;
};

// What --help prints.
std::string csnapd_usage();
// The arguments, without the program's name. What the command line says wins over the file of
// --config. invalid, with a sentence for people, for anything that cannot be meant.
Result<CsnapdOptions> parse_csnapd_options(const std::vector<std::string>& arguments);

}  // namespace csnap
