// SPDX-License-Identifier: Apache-2.0
// csnap_sim: runs simulated histories (world.h) and says which seed breaks what.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "test/sim/history.h"
#include "test/sim/workers.h"

namespace {

using namespace csnap::sim;

const char* kUsage =
    "Usage: csnap_sim [--seed N] [--seeds FROM-TO] [--seconds S] [--list FILE]\n"
    "                 [--jobs N] [--coverage] [--trace]\n"
    "\n"
    "Runs histories of a simulated csnap, each made of one number, its seed.\n"
    "  --seed N         this one, twice: the two must be the same event for event\n"
    "  --seeds FROM-TO  these, both ends included\n"
    "  --seconds S      fresh ones for so long, from a number of the clock on, every theme in "
    "turn\n"
    "  --jobs N         so many of the fresh ones at once: as many as there are cores\n"
    "  --list FILE      those in the file: one a line, # begins a comment\n"
    "  --coverage       print how often each fault struck while each operation was under way;\n"
    "                   fail when one never did, though fresh seeds go on for up to four times S\n"
    "                   as long as that is so\n"
    "  --trace          print what happens\n"
    "Exit code: 0 all was well, 1 something was not, 2 wrong command line.\n";

bool read_list(const std::string& path, std::vector<std::uint64_t>& seeds) {
  std::ifstream in(path);
  if (!in) {
    std::cerr << "csnap_sim: cannot read " << path << '\n';
    return false;
  }
  for (std::string line; std::getline(in, line);) {
    line = line.substr(0, line.find('#'));
    if (line.find_first_of("0123456789") == std::string::npos) continue;
    seeds.push_back(std::strtoull(line.c_str(), nullptr, 10));
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::uint64_t> seeds;
  double seconds = 0;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  bool coverage = false, trace = false, twice = false;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& option = arguments[i];
    const bool takes_value = option == "--seed" || option == "--seeds" || option == "--seconds" ||
                             option == "--list" || option == "--jobs";
    const std::string value = takes_value && i + 1 < arguments.size() ? arguments[++i] : "";
    if (option == "--help") {
      std::cout << kUsage;
      return 0;
    }
    if (option == "--coverage") {
      coverage = true;
    } else if (option == "--trace") {
      trace = true;
    } else if (takes_value && value.empty()) {
      std::cerr << "csnap_sim: " << option << " needs a value\n" << kUsage;
      return 2;
    } else if (option == "--seed") {
      seeds.push_back(std::strtoull(value.c_str(), nullptr, 10));
      twice = true;
    } else if (option == "--seeds") {
      const std::size_t dash = value.find('-');
      const std::uint64_t from = std::strtoull(value.c_str(), nullptr, 10);
      const std::uint64_t to =
          dash == std::string::npos ? from : std::strtoull(value.c_str() + dash + 1, nullptr, 10);
      for (std::uint64_t seed = from; seed <= to; ++seed) seeds.push_back(seed);
    } else if (option == "--seconds") {
      seconds = std::strtod(value.c_str(), nullptr);
    } else if (option == "--jobs") {
      jobs = std::max(1u, static_cast<unsigned>(std::strtoul(value.c_str(), nullptr, 10)));
    } else if (option == "--list") {
      if (!read_list(value, seeds)) return 2;
    } else {
      std::cerr << "csnap_sim: unknown option " << option << '\n' << kUsage;
      return 2;
    }
  }
  report_signals();
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  Totals totals;
  bool good = true;
  for (const std::uint64_t seed : seeds) good &= run_history(seed, trace, twice, totals);
  if (seconds > 0) {
    const auto fresh = static_cast<std::uint64_t>(
        std::chrono::system_clock::now().time_since_epoch().count() / 1000 % 1'000'000'000'000);
    std::cout << "fresh seeds from " << fresh << " on\n";
    const auto until = Clock::now() + std::chrono::duration<double>(seconds);
    const auto wait_until = until + std::chrono::duration<double>(3 * seconds);
    const auto enough = [&] {
      const auto now = Clock::now();
      return now >= until && (!coverage || now >= wait_until || totals.coverage.complete(nullptr));
    };
    good = good && run_fresh(fresh, jobs, totals, enough);
  }
  const double took = std::chrono::duration<double>(Clock::now() - began).count();
  std::cout << totals.histories << " histories, " << totals.operations << " operations, "
            << totals.crashes << " crashes, " << totals.given_up << " ended with damage reported; "
            << static_cast<std::uint64_t>(took * 10) / 10.0 << " s\n";
  if (coverage) {
    totals.coverage.print(std::cout);
    good = good && totals.coverage.complete(&std::cout);
  }
  return good ? 0 : 1;
}
