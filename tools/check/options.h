// SPDX-License-Identifier: Apache-2.0
// csnap-check's command line. Pure.
#pragma once

#include <string>
#include <vector>

#include "store/status.h"
#include "tools/rmap/run.h"

namespace csnap {

struct CheckToolOptions {
  std::string store;
  std::string metadata;  // empty: on the store
  std::string to;        // repair a copy of the metadata, made here
  bool repair = false;
  bool yes = false;    // do not ask
  bool force = false;  // `to` may exist
  bool data = false;
  bool json = false;
  bool progress = false;  // also where there is no terminal
  bool rmap = false;      // tell what lies where, instead of checking
  RmapRequest map;
  bool help = false;  // when one of these two is set, nothing else is
  bool version = false;
};

std::string check_usage();
// The arguments, without the program's name. invalid, with a sentence for people.
Result<CheckToolOptions> parse_check_options(const std::vector<std::string>& arguments);

}  // namespace csnap
