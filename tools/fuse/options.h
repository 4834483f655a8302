// SPDX-License-Identifier: Apache-2.0
// csnap-fuse's command line. Pure.
#pragma once

#include <string>
#include <vector>

#include "store/status.h"
#include "tools/common/client_options.h"

namespace csnap {

struct FuseOptions : ClientOptions {
  std::string mountpoint;
  bool allow_other = false;  // users other than the one that mounts
  bool verbose = false;
  bool help = false;  // when one of these two is set, nothing else counts
  bool version = false;
};

std::string fuse_usage();
// The arguments, without the program's name. invalid, with a sentence for people.
Result<FuseOptions> parse_fuse_options(const std::vector<std::string>& arguments);

}  // namespace csnap
