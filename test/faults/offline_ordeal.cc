// SPDX-License-Identifier: Apache-2.0
#include "test/faults/offline_ordeal.h"

#include <memory>

namespace csnap {
namespace {

constexpr std::uint64_t kEndless = 5000;

bool crashes(const Way& way) {
  return way.what != Way::What::fail_once && way.what != Way::What::fail_for_ever;
}

bool attempt(const OfflineOperation& operation, const Way& way, std::uint64_t nth) {
  Rig rig(operation.options);
  operation.prepare(rig);
  const auto plan = std::make_shared<FaultPlan>();
  std::mt19937_64 random(nth);
  way.arm(*plan, nth, {rig.store, rig.metadata}, random);
  Status outcome;
  {
    FaultDevice store(std::make_unique<MemoryDevice>(rig.store), plan);
    std::unique_ptr<FaultDevice> metadata;
    if (rig.metadata)
      metadata = std::make_unique<FaultDevice>(std::make_unique<MemoryDevice>(rig.metadata), plan);
    outcome = operation.act(store, metadata.get());
  }
  const bool struck = plan->triggered() > 0;
  require(struck || outcome.ok(), "it failed although nothing went wrong: " + outcome.to_string());
  if (!crashes(way) && nth % 2 == 0) {
    rig.store->crash(random);
    if (rig.metadata) rig.metadata->crash(random);
  }
  operation.judge(rig, outcome, struck && crashes(way));
  return struck;
}

}  // namespace

std::uint64_t undergo(const OfflineOperation& operation, const Way& way) {
  std::uint64_t points = 0;
  for (std::uint64_t nth = 1;; nth += stride()) {
    require(nth < kEndless, operation.name + " does not end");
    try {
      if (!attempt(operation, way, nth)) return points;
      ++points;
    } catch (const std::exception& error) {
      require(false, operation.name + ", " + way.name + ", number " + std::to_string(nth) + ": " +
                         error.what());
    }
  }
}

}  // namespace csnap
