// SPDX-License-Identifier: Apache-2.0
// An operation that changes a store, tried again and again: its first I/O goes wrong, then its
// second, and so on until it passes untouched. After each try the store is judged: it is whole, all
// that was acknowledged is there, the rest was done or not, chunk by chunk, and recovering it a
// second time changes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "server/check.h"
#include "test/engine/rig.h"

namespace csnap {

struct Operation {
  std::string name;
  RigOptions options;
  // On a healthy, open store.
  std::function<void(Rig&)> prepare;
  // Everything in it may fail; returns when all of it has been answered.
  std::function<void(Rig&)> act;
  // The server dies before act, which opens the store anew.
  bool on_crashed = false;
  bool closes = false;  // act ends the server
  // What this operation alone may leave or must not; on the open store, at the end.
  std::function<void(Rig&)> judge = {};
};

// What goes wrong at the N-th I/O.
struct Way {
  enum class What {
    fail_once,
    fail_for_ever,
    kill,  // the server; what it had submitted reaches the medium
    lose,  // power: nothing unflushed is left
    tear,  // power: each unflushed write whole, lost or torn
  };
  std::string name;
  What what = What::fail_once;
  FaultPlan::Match match;

  // A crash is one of these volumes; those that are null are not there.
  void arm(FaultPlan& plan, std::uint64_t nth, std::vector<std::shared_ptr<MemoryVolume>> volumes,
           std::mt19937_64& random) const;
};
std::vector<Way> all_ways();

// Undergoes the operation in every way, prints how many points there were, and fails the test if a
// way has none.
template <class AnyOperation>
void undergo_all(const AnyOperation& operation);

// From one N to the next: 1, or 5 where CSNAP_QUICK asks for a brief run.
std::uint64_t stride();
// How many N there were. Fails the test with a sentence.
std::uint64_t undergo(const Operation& operation, const Way& way);

// Prints a line.
void report(const std::string& name, const std::vector<std::uint64_t>& points);

template <class AnyOperation>
void undergo_all(const AnyOperation& operation) {
  std::vector<std::uint64_t> points;
  for (const Way& way : all_ways()) {
    points.push_back(undergo(operation, way));
    require(points.back() > 0, operation.name + ": never came to that: " + way.name);
  }
  report(operation.name, points);
}

// The rig's store is not open: is it whole, and does recovery leave it as it is? Throws if not.
void judge_at_rest(Rig& rig);
// All that a store is, but for its epoch and for where its journal stands; throws if it cannot be
// recovered.
std::string state_of(Rig& rig);
// What the checker finds, with data, but for findings in that area.
std::string everything_wrong(Rig& rig, std::optional<CheckArea> but = std::nullopt);

}  // namespace csnap
