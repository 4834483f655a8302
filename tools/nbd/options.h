// SPDX-License-Identifier: Apache-2.0
// The command line of csnap-nbd.
#pragma once

#include <string>
#include <vector>

#include "proto/address.h"
#include "store/status.h"

namespace csnap {

struct NbdOptions {
  std::vector<std::string> servers;
  Address listen;
  std::string origin, store;
  unsigned threads = 16;
  bool read_only = false;
  bool verbose = false;
  bool help = false, version = false;
};

// What a bare `csnap-nbd` listens on: csnap-nbd.sock beside the server's own socket.
Address default_nbd_address();
std::string nbd_usage();
// invalid: a wrong command line.
Result<NbdOptions> parse_nbd_options(const std::vector<std::string>& arguments);

}  // namespace csnap
