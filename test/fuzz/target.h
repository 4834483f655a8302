// SPDX-License-Identifier: Apache-2.0
// A fuzz target: a function of an input that must come back, whatever the input is. One to a file,
//   FUZZ_TARGET(leaf) { ... input.u8() ... }
// A file with one of these and libfuzzer.cc make the fuzzer fuzz_leaf; all of them and replay.cc
// make fuzz_replay, which needs no libFuzzer.
#pragma once

#include <string>
#include <vector>

#include "store/status.h"
#include "test/fuzz/input.h"

namespace csnap::fuzz {

struct Target {
  const char* name;
  void (*run)(Input input);
};
// Those that are linked in, by name.
const std::vector<Target>& targets();

// What a target finds wrong: says so and aborts.
void require(bool holds, const char* what, const std::string& more = {});
void require_ok(const Status& status, const char* what);

struct Registration {
  explicit Registration(const Target& target);
};

}  // namespace csnap::fuzz

#define FUZZ_TARGET(name)                                                  \
  static void fuzz_##name(csnap::fuzz::Input input);                       \
  static const csnap::fuzz::Registration registered({#name, fuzz_##name}); \
  static void fuzz_##name([[maybe_unused]] csnap::fuzz::Input input)
