// SPDX-License-Identifier: Apache-2.0
// csnap-check: parses, checks, reports.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "tools/check/report.h"
#include "tools/check/rmap.h"
#include "tools/check/run.h"

namespace {

// As fsck.
constexpr int kClean = 0;
constexpr int kRepaired = 1;
constexpr int kErrorsLeft = 4;
constexpr int kCouldNotRun = 8;
constexpr int kUsage = 16;

int print(const std::string& text, int code) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) return kCouldNotRun;
  return code;
}

int failed(const csnap::Status& status) {
  std::fprintf(stderr, "csnap-check: %s\n", status.message().c_str());
  return kCouldNotRun;
}

// Somebody at a terminal may have mistyped; a script means what it says.
bool confirm(const std::string& store) {
  if (::isatty(STDIN_FILENO) == 0) return true;
  std::cerr << "Repair " << store
            << "? What is damaged beyond repair is marked as lost for good; --to repairs a copy. "
               "[y/N] "
            << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int check(const csnap::CheckToolOptions& options) {
  const auto report = csnap::run_check(options);
  if (!report.ok()) return failed(report.status());
  return print(options.json ? csnap::check_report_json(options, *report)
                            : csnap::check_report_text(options, *report),
               report->damaged() ? kErrorsLeft : kClean);
}

int repair(const csnap::CheckToolOptions& options) {
  const auto outcome = csnap::run_repair(options);
  if (!outcome.ok()) return failed(outcome.status());
  const csnap::RepairReport& report = outcome->report;
  const int code = report.after.damaged() ? kErrorsLeft : report.changed ? kRepaired : kClean;
  return print(options.json ? csnap::repair_report_json(options, *outcome)
                            : csnap::repair_report_text(options, *outcome),
               code);
}

int rmap(const csnap::CheckToolOptions& options) {
  const csnap::Status told = csnap::run_check_rmap(options);
  if (told.ok()) return kClean;
  failed(told);
  return told.code() == csnap::Code::corrupt ? kErrorsLeft : kCouldNotRun;
}

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
  if (options->rmap) return rmap(*options);
  if (options->repair && !options->yes && options->to.empty() && !confirm(options->store)) {
    std::fputs("csnap-check: nothing was changed\n", stderr);
    return kCouldNotRun;
  }
  return options->repair ? repair(*options) : check(*options);
}
