// SPDX-License-Identifier: Apache-2.0
// Runs the loads, all at once, and measures them.
// Threading: one thread; blocks until the time is over.
#pragma once

#include <string>
#include <vector>

#include "store/status.h"
#include "tools/bench/latencies.h"
#include "tools/bench/options.h"

namespace csnap {

// A tenth of a second.
struct Moment {
  std::uint64_t answers = 0;
  Latencies latencies;
};

struct LoadResult {
  LoadOptions load;
  std::uint64_t answers = 0;
  Latencies latencies;  // also of those that were asked in time and answered later
  double rate = 0;      // answers a second
};

struct BenchResult {
  double seconds = 0;  // that were measured
  std::uint64_t answers = 0;
  double rate = 0;            // answers a second, of all loads
  double chunk_rate = 0;      // chunks in them a second
  double server_cpu_us = -1;  // of the server, for each answer; negative: not known
  double own_cpu_us = 0;      // of csnap-bench
  bool exhausted = false;     // every place was asked for before the time was over
  Status cut_short;           // why the measurement ended before its time, if it did
  std::vector<LoadResult> loads;
  Latencies snapshots;          // creations, when they were asked for
  std::vector<Moment> moments;  // with a picture only
};

inline constexpr double kMoment = 0.1;  // seconds

// What ends a measurement that has begun is told in the result, and so is an interrupt (SIGINT,
// SIGTERM). The sessions are over when it returns, if the server can be reached at all.
Result<BenchResult> run_bench(const BenchOptions& options);

}  // namespace csnap
