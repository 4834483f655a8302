// SPDX-License-Identifier: Apache-2.0
// What csnap-bench prints and draws. Pure.
#pragma once

#include <string>

#include "tools/bench/run.h"

namespace csnap {

std::string bench_text(const BenchOptions& options, const BenchResult& result);
std::string bench_json(const BenchOptions& options, const BenchResult& result);
// SVG. REQUIRES: the moments were kept.
std::string bench_picture(const BenchOptions& options, const BenchResult& result);

}  // namespace csnap
