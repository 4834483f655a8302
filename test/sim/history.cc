// SPDX-License-Identifier: Apache-2.0
#include "test/sim/history.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "test/sim/world.h"

namespace csnap::sim {
namespace {

volatile std::uint64_t current_seed = 0;

void on_signal(int number) {
  char text[160];
  const int length =
      snprintf(text, sizeof(text), "\nseed %llu: %s\nreplay: csnap_sim --seed %llu --trace\n",
               static_cast<unsigned long long>(current_seed),
               number == SIGALRM   ? "does not end"
               : number == SIGABRT ? "an assertion failed"
                                   : "the program crashed",
               static_cast<unsigned long long>(current_seed));
  if (length > 0 && write(STDOUT_FILENO, text, static_cast<std::size_t>(length)) < 0) _exit(3);
  _exit(1);
}

}  // namespace

void Totals::add(const Totals& other) {
  histories += other.histories;
  operations += other.operations;
  crashes += other.crashes;
  given_up += other.given_up;
  seals += other.seals;
  seals_refused += other.seals_refused;
  coverage.add(other.coverage);
}

void report_signals() {
  for (const int number : {SIGABRT, SIGSEGV, SIGALRM}) signal(number, on_signal);
}

bool run_history(std::uint64_t seed, bool trace, bool twice, Totals& totals) {
  current_seed = seed;
  std::uint64_t hash = 0;
  for (int round = 0; round < (twice ? 2 : 1); ++round) {
    alarm(60);
    World world(seed, trace && round == 0);
    world.run();
    alarm(0);
    if (!world.violation().empty()) {
      std::cout << "seed " << seed << ": " << world.violation()
                << "\nmade of: " << world.profile.to_string() << "\nreplay: csnap_sim --seed "
                << seed << " --trace\n";
      return false;
    }
    if (round == 1 && hash != world.hash()) {
      std::cout << "seed " << seed << ": two runs of it differ\n";
      return false;
    }
    hash = world.hash();
    if (round > 0) continue;
    ++totals.histories;
    totals.operations += world.operations();
    totals.crashes += world.crashes();
    totals.given_up += world.given_up();
    totals.seals += world.seals();
    totals.seals_refused += world.seals_refused();
    totals.coverage.add(world.coverage);
  }
  if (twice)
    std::cout << "seed " << seed << ": trace hash " << std::hex << hash << std::dec << '\n';
  return true;
}

}  // namespace csnap::sim
