// SPDX-License-Identifier: Apache-2.0
// The command line of csnap-bench.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "store/status.h"
#include "tools/bench/asker.h"

namespace csnap {

// So many connections that ask for the same.
struct LoadOptions {
  Kind kind = Kind::unique;
  std::size_t connections = 0;
};

struct BenchOptions {
  std::vector<std::string> servers;  // addresses; empty: the default ones
  std::vector<LoadOptions> loads;
  std::string snapshot;  // for the loads that have to do with one
  std::size_t in_flight = 32;
  std::uint64_t range = 1;   // chunks in one request
  std::uint64_t chunks = 0;  // of the volume, from its start; 0: all
  Pattern pattern = Pattern::uniform;
  double seconds = 5;
  double warmup = 1;           // seconds that do not count
  std::uint64_t requests = 0;  // stop after so many; 0: after the time
  std::uint64_t seed = 1;
  std::uint64_t snapshot_every_ms = 0;  // 0: none is made
  bool prepare = false;                 // ask for the whole origin before
  bool force = false;
  int server_pid = 0;  // 0: not known
  bool json = false;
  std::string picture;  // an SVG file
  bool help = false;    // when one of these two is set, nothing else is
  bool version = false;
};

std::string bench_usage();
// invalid, with a sentence.
Result<BenchOptions> parse_bench_options(const std::vector<std::string>& arguments);

}  // namespace csnap
