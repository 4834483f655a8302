// SPDX-License-Identifier: Apache-2.0
// Google Benchmark's program, with one more option: --exceptions=N.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string_view>

#include "test/bench/micro/load.h"

std::uint64_t csnap::bench::exceptions = 10'000'000;

int main(int argc, char** argv) {
  constexpr std::string_view kOption = "--exceptions=";
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]).starts_with(kOption))
      csnap::bench::exceptions = std::strtoull(argv[i] + kOption.size(), nullptr, 10);
    else
      argv[kept++] = argv[i];
  }
  benchmark::Initialize(&kept, argv);
  if (benchmark::ReportUnrecognizedArguments(kept, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
