// SPDX-License-Identifier: Apache-2.0
// csnap-restore's command line. Pure.
#pragma once

#include <string>
#include <vector>

#include "store/status.h"

namespace csnap {

struct RestoreToolOptions {
  std::string store;
  std::string metadata;  // empty: on the store
  std::string input;     // empty: standard input
  bool force = false;
  bool json = false;
  bool progress = false;  // also where there is no terminal
  bool help = false;      // when one of these two is set, nothing else is
  bool version = false;
};

std::string restore_usage();
// The arguments, without the program's name. invalid, with a sentence for people.
Result<RestoreToolOptions> parse_restore_options(const std::vector<std::string>& arguments);

}  // namespace csnap
