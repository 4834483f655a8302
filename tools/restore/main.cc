// SPDX-License-Identifier: Apache-2.0
// csnap-restore: parses, restores, says what it restored.
#include <cstdio>
#include <string>
#include <vector>

#include "tools/restore/options.h"
#include "tools/restore/run.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

}  // namespace

int main(int argc, char** argv) {
  const auto options =
      csnap::parse_restore_options(std::vector<std::string>(argv + 1, argv + argc));
  if (!options.ok()) {
    std::fprintf(stderr, "csnap-restore: %s\nTry csnap-restore --help.\n",
                 options.status().message().c_str());
    return kUsage;
  }
  if (options->help) {
    std::fputs(csnap::restore_usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::puts("csnap-restore " CSNAP_VERSION);
    return 0;
  }
  const auto restored = csnap::run_restore(*options);
  if (!restored.ok()) {
    std::fprintf(stderr, "csnap-restore: %s\n", restored.status().message().c_str());
    return kFailed;
  }
  const std::string report = options->json ? csnap::restore_report_json(*options, *restored)
                                           : csnap::restore_report_text(*options, *restored);
  if (std::fputs(report.c_str(), stdout) < 0 || std::fflush(stdout) != 0) return kFailed;
  return 0;
}
