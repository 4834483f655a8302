// SPDX-License-Identifier: Apache-2.0
// csnap_sim: runs simulated histories (world.h) and says which seed breaks what.
#include <chrono>
#include <iostream>

#include "test/sim/history.h"
#include "test/sim/options.h"
#include "test/sim/theme.h"
#include "test/sim/workers.h"

namespace {

using namespace csnap::sim;
using Clock = std::chrono::steady_clock;

// What no fault has met yet is aimed at when the time is over, for up to three times as long again.
bool run_fresh_for(const SimOptions& options, Totals& totals) {
  const auto first = static_cast<std::uint64_t>(
      std::chrono::system_clock::now().time_since_epoch().count() / 1000 % 1'000'000'000'000);
  std::cout << "fresh seeds from " << first << " on\n";
  const std::chrono::duration<double> time(options.seconds);
  const auto until = Clock::now() + time;
  if (!run_many([&](std::uint64_t n) { return fresh_seed(first, n); }, options.jobs, totals,
                [&] { return Clock::now() >= until; }))
    return false;
  if (!options.coverage) return true;
  for (std::uint64_t from = first; Clock::now() < until + 3 * time; from += 1'000'000) {
    const auto missing = totals.coverage.missing();
    if (missing.empty()) return true;
    const auto seed_of = [&](std::uint64_t n) {
      const auto [fault, op] = missing[n % missing.size()];
      return aimed_seed({fault, op}, from + n).value_or(fresh_seed(from, n));
    };
    const auto before = totals.histories;
    const bool good = run_many(seed_of, options.jobs, totals, [&] {
      return totals.histories >= before + 2 * missing.size() + options.jobs;
    });
    if (!good) return false;
  }
  return true;
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
            << totals.crashes << " crashes, " << totals.seals << " seals and "
            << totals.seals_refused << " refused, " << totals.given_up
            << " ended with damage reported; " << static_cast<std::uint64_t>(took * 10) / 10.0
            << " s\n";
  if (options->coverage) {
    if (totals.seals == 0 || totals.seals_refused == 0) {
      std::cout << "never: a seal that was " << (totals.seals == 0 ? "done\n" : "refused\n");
      good = false;
    }
    totals.coverage.print(std::cout);
    for (const auto& [fault, op] : totals.coverage.missing()) {
      std::cout << "never: " << fault_name(fault) << " while " << op_name(op) << " was under way\n";
      good = false;
    }
  }
  return good ? 0 : 1;
}
