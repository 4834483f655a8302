// SPDX-License-Identifier: Apache-2.0
// csnap-bench: parses, measures, reports.
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/bench/options.h"
#include "tools/bench/report.h"
#include "tools/bench/run.h"
#include "tools/common/output_file.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

csnap::Status run(const csnap::BenchOptions& options) {
  // Whether it can be made is known before the work is done.
  std::optional<csnap::OutputFile> picture;
  if (!options.picture.empty()) {
    CSNAP_ASSIGN(csnap::OutputFile file, csnap::OutputFile::create(options.picture));
    picture.emplace(std::move(file));
  }
  CSNAP_ASSIGN(const csnap::BenchResult result, csnap::run_bench(options));
  const std::string text =
      options.json ? csnap::bench_json(options, result) : csnap::bench_text(options, result);
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    return csnap::Status(csnap::Code::io_error, "cannot write to standard output");
  if (picture) {
    CSNAP_TRY(picture->write(csnap::bench_picture(options, result)));
    CSNAP_TRY(picture->finish());
  }
  return result.cut_short;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto options = csnap::parse_bench_options(std::vector<std::string>(argv + 1, argv + argc));
  if (!options.ok()) {
    std::fprintf(stderr, "csnap-bench: %s\nTry csnap-bench --help.\n",
                 options.status().message().c_str());
    return kUsage;
  }
  if (options->help) {
    std::fputs(csnap::bench_usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::puts("csnap-bench " CSNAP_VERSION);
    return 0;
  }
  const csnap::Status measured = run(*options);
  if (measured.ok()) return 0;
  std::fprintf(stderr, "csnap-bench: %s\n", measured.message().c_str());
  return kFailed;
}
