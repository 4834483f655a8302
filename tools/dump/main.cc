// SPDX-License-Identifier: Apache-2.0
// csnap-dump: parses, dumps.
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "tools/dump/options.h"
#include "tools/dump/run.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error to be told
  const auto options = csnap::parse_dump_options(std::vector<std::string>(argv + 1, argv + argc));
  if (!options.ok()) {
    std::fprintf(stderr, "csnap-dump: %s\nTry csnap-dump --help.\n",
                 options.status().message().c_str());
    return kUsage;
  }
  if (options->help) {
    std::fputs(csnap::dump_usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::puts("csnap-dump " CSNAP_VERSION);
    return 0;
  }
  const csnap::Status dumped = csnap::run_dump(*options);
  if (dumped.ok()) return 0;
  std::fprintf(stderr, "csnap-dump: %s\n", dumped.message().c_str());
  return kFailed;
}
