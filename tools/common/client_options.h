// SPDX-License-Identifier: Apache-2.0
// The options that programs share which are clients of csnapd. Pure.
// Errors: invalid, with a sentence for people.
#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <vector>

#include "store/status.h"

namespace csnap {

struct ClientOptions {
  std::vector<std::string> servers;  // empty: the default ones
  std::string origin, store;         // where the devices are here; empty: where the server has them
  unsigned threads = 0;
  bool read_only = false;
};

// --server, --read-only, --origin, --store and --threads; threads: as many without the option, for
// what.
void add_client_options(boost::program_options::options_description& options, unsigned threads,
                        const char* what);
Status take_client_options(const boost::program_options::variables_map& values, ClientOptions& out);

// Of --server alone; empty without it.
Result<std::vector<std::string>> take_servers(const boost::program_options::variables_map& values);

}  // namespace csnap
