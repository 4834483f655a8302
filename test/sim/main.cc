// SPDX-License-Identifier: Apache-2.0
// csnap_sim: runs simulated histories (world.h) and says which seed breaks what.
#include <chrono>
#include <iostream>

#include "test/sim/history.h"
#include "test/sim/options.h"
#include "test/sim/workers.h"

namespace {

using namespace csnap::sim;
using Clock = std::chrono::steady_clock;

bool run_fresh_for(const SimOptions& options, Totals& totals) {
  const auto first = static_cast<std::uint64_t>(
      std::chrono::system_clock::now().time_since_epoch().count() / 1000 % 1'000'000'000'000);
  std::cout << "fresh seeds from " << first << " on\n";
  const std::chrono::duration<double> time(options.seconds);
  const auto until = Clock::now() + time;
  const auto wait_until = until + 3 * time;
  return run_fresh(first, options.jobs, totals, [&] {
    const auto now = Clock::now();
    if (now < until) return false;
    return !options.coverage || now >= wait_until || totals.coverage.complete(nullptr);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse_sim_options({argv + 1, argv + argc});
  if (!options.ok()) {
    std::cerr << "csnap_sim: " << options.status().message() << "\nTry csnap_sim --help.\n";
    return 2;
  }
  if (options->help) {
    std::cout << sim_usage();
    return 0;
  }
  report_signals();
  const auto began = Clock::now();
  Totals totals;
  bool good = true;
  for (const std::uint64_t seed : options->seeds)
    good &= run_history(seed, options->trace, options->twice, totals);
  if (options->seconds > 0) good = good && run_fresh_for(*options, totals);
  const double took = std::chrono::duration<double>(Clock::now() - began).count();
  std::cout << totals.histories << " histories, " << totals.operations << " operations, "
            << totals.crashes << " crashes, " << totals.given_up << " ended with damage reported; "
            << static_cast<std::uint64_t>(took * 10) / 10.0 << " s\n";
  if (options->coverage) {
    totals.coverage.print(std::cout);
    good = good && totals.coverage.complete(&std::cout);
  }
  return good ? 0 : 1;
}
