// SPDX-License-Identifier: Apache-2.0
#include "test/faults/ordeal.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace csnap {
namespace {

constexpr std::uint64_t kEndless = 5000;  // an operation with more I/O than that never ends

// One operation with its N-th I/O going wrong.
class Ordeal {
 public:
  Ordeal(const Operation& operation, const Way& way, std::uint64_t nth)
      : operation_(operation), way_(way), nth_(nth), random_(nth), rig_(options()) {}

  // Did it come to that?
  bool run() {
    rig_.faults = std::make_shared<FaultPlan>();
    rig_.open();
    operation_.prepare(rig_);
    if (operation_.on_crashed) {
      if (nth_ % 2 == 0)
        rig_.kill();
      else
        rig_.power_cut();
    }
    way_.arm(*rig_.faults, nth_, {rig_.store, rig_.metadata}, random_);
    operation_.act(rig_);
    const bool struck = rig_.faults->triggered() > 0;
    rest();
    judge();
    return struck;
  }

 private:
  RigOptions options() const {
    RigOptions options = operation_.options;
    options.seed = 1 + static_cast<std::uint64_t>(way_.what);
    return options;
  }

  // The server is gone afterwards, and the disks are well.
  void rest() {
    const bool lives = rig_.is_open() && !operation_.closes && !rig_.engine().status().failed;
    if (lives && way_.what == Way::What::fail_once) {
      rig_.faults->heal();
      rig_.until_idle();
      look();
    }
    if (rig_.is_open() && nth_ % 2 == 0)
      rig_.kill();
    else if (rig_.is_open())
      rig_.power_cut();
    rig_.faults = nullptr;
  }

  void look() {
    rig_.check_all();
    require(rig_.mismatches() == 0, "a volume is not what it must be");
  }

  void judge() {
    judge_at_rest(rig_);
    rig_.open();
    look();
    if (operation_.judge) operation_.judge(rig_);
    // It goes on.
    const Status written = rig_.write_origin_now({Chunk(0), 8}, 99);
    require(written.ok(), "writing afterwards: " + written.to_string());
    rig_.until_idle();
    look();
    rig_.close();
    const std::string wrong = everything_wrong(rig_);
    require(wrong.empty(), "the store after all: " + wrong);
  }

  const Operation& operation_;
  const Way& way_;
  const std::uint64_t nth_;
  std::mt19937_64 random_;
  Rig rig_;
};

}  // namespace

void Way::arm(FaultPlan& plan, std::uint64_t nth,
              std::vector<std::shared_ptr<MemoryVolume>> volumes, std::mt19937_64& random) const {
  if (what == What::fail_once || what == What::fail_for_ever) {
    plan.fail(nth, match, what == What::fail_once ? Often::once : Often::for_ever);
    return;
  }
  plan.cut_power(nth, match, [what = what, volumes = std::move(volumes), &random] {
    for (const auto& volume : volumes) {
      if (!volume) continue;
      if (what == What::kill)
        volume->crash_keeping_all();
      else if (what == What::lose)
        volume->crash_losing_all();
      else
        volume->crash(random);
    }
  });
}

std::vector<Way> all_ways() {
  using What = Way::What;
  std::vector<Way> ways{
      {"any I/O fails once", What::fail_once, FaultPlan::any()},
      {"any I/O fails, and all after it", What::fail_for_ever, FaultPlan::any()},
      {"a write fails, and all after it", What::fail_for_ever, FaultPlan::writes()},
      {"a flush fails, and all after it", What::fail_for_ever, FaultPlan::flushes()},
  };
  const std::pair<const char*, What> crashes[] = {
      {"the server is killed", What::kill},
      {"power fails, all unflushed is lost", What::lose},
      {"power fails, writes are torn", What::tear},
  };
  for (const auto& [name, what] : crashes) {
    ways.push_back({std::string(name) + " at a write", what, FaultPlan::writes()});
    ways.push_back({std::string(name) + " at a flush", what, FaultPlan::flushes()});
  }
  return ways;
}

void report(const std::string& name, const std::vector<std::uint64_t>& points) {
  std::uint64_t sum = 0;
  std::string counts;
  for (const std::uint64_t n : points) {
    sum += n;
    counts += (counts.empty() ? "" : " + ") + std::to_string(n);
  }
  printf("%5" PRIu64 " points of failure: %s (%s)\n", sum, name.c_str(), counts.c_str());
  fflush(stdout);
}

std::uint64_t stride() {
  return std::getenv("CSNAP_QUICK") != nullptr ? 5 : 1;
}

std::uint64_t undergo(const Operation& operation, const Way& way) {
  std::uint64_t points = 0;
  for (std::uint64_t nth = 1;; nth += stride()) {
    require(nth < kEndless, operation.name + " does not end");
    try {
      if (!Ordeal(operation, way, nth).run()) return points;
      ++points;
    } catch (const std::exception& error) {
      require(false, operation.name + ", " + way.name + ", number " + std::to_string(nth) + ": " +
                         error.what());
    }
  }
}

}  // namespace csnap
