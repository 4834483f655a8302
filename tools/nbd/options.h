// SPDX-License-Identifier: Apache-2.0
// The command line of csnap-nbd.
#pragma once

#include <string>
#include <vector>

#include "proto/address.h"
#include "store/status.h"
#include "tools/common/client_options.h"

namespace csnap {

struct NbdOptions : ClientOptions {
  Address listen;
  bool verbose = false;
  bool help = false, version = false;
};

// What a bare `csnap-nbd` listens on: csnap-nbd.sock beside the server's own socket.
Address default_nbd_address();
std::string nbd_usage();
// invalid: a wrong command line.
Result<NbdOptions> parse_nbd_options(const std::vector<std::string>& arguments);

}  // namespace csnap
