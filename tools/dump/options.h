// SPDX-License-Identifier: Apache-2.0
// csnap-dump's command line. Pure.
#pragma once

#include <string>
#include <vector>

#include "store/status.h"

namespace csnap {

struct DumpToolOptions {
  std::string store;
  std::string metadata;   // empty: on the store
  std::string output;     // empty: standard output
  bool pack = false;      // an image of the metadata instead of text
  bool progress = false;  // also where there is no terminal
  bool help = false;      // when one of these two is set, nothing else is
  bool version = false;
};

std::string dump_usage();
// The arguments, without the program's name. invalid, with a sentence for people.
Result<DumpToolOptions> parse_dump_options(const std::vector<std::string>& arguments);

}  // namespace csnap
