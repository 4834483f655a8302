// SPDX-License-Identifier: Apache-2.0
// csnap-check: parses, checks, reports.
#include <cstdio>
#include <string>
#include <vector>

#include "tools/check/report.h"
#include "tools/check/run.h"

namespace {

// As fsck.
constexpr int kClean = 0;
constexpr int kErrorsLeft = 4;
constexpr int kCouldNotRun = 8;
constexpr int kUsage = 16;

}  // namespace

int main(int argc, char** argv) {
  const auto options = csnap::parse_check_options(std::vector<std::string>(argv + 1, argv + argc));
  if (!options.ok()) {
    std::fprintf(stderr, "csnap-check: %s\nTry csnap-check --help.\n",
                 options.status().message().c_str());
    return kUsage;
  }
  if (options->help) {
    std::fputs(csnap::check_usage().c_str(), stdout);
    return kClean;
  }
  if (options->version) {
    std::puts("csnap-check " CSNAP_VERSION);
    return kClean;
  }
  const auto report = csnap::run_check(*options);
  if (!report.ok()) {
    std::fprintf(stderr, "csnap-check: %s\n", report.status().message().c_str());
    return kCouldNotRun;
  }
  const std::string text = options->json ? csnap::check_report_json(*options, *report)
                                         : csnap::check_report_text(*options, *report);
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) return kCouldNotRun;
  return report->damaged() ? kErrorsLeft : kClean;
}
