// SPDX-License-Identifier: Apache-2.0
// What if the power failed now? Copies of the disks lose it, and what they hold then is judged as
// after a real crash, by a copy of the model. The history itself goes on as if nothing had been
// looked at, so that one history is crashed at many moments.
#include "test/sim/world.h"

namespace csnap::sim {

void World::what_if(const IoRequest& request, bool critical) {
  if (request.kind == IoKind::read || context.calm) return;
  // What lies cost is judged when the power really fails.
  if (!violation_.empty() || context.damaged || lied_) return;
  if (store->lying() || store->lied() || metadata_disk().lying() || metadata_disk().lied()) return;
  // Where all that is critical takes long there is much of it.
  const std::uint64_t rarity = profile.slow_homes     ? 64
                               : critical             ? 4
                               : profile.slow_flushes ? 8
                                                      : 24;
  if (what_if_random_.below(rarity) != 0) return;
  const auto after_crash = [&](const std::shared_ptr<MemoryVolume>& volume) {
    std::shared_ptr<MemoryVolume> copy = volume->clone();
    std::mt19937_64 rng(what_if_random_.next());
    copy->crash(rng);
    return copy;
  };
  const Media now = media();
  const Media then{after_crash(now.origin), after_crash(now.store),
                   now.metadata ? after_crash(now.metadata) : nullptr};
  // One copy of the superblock may go with the power: the other one must be as good.
  const bool one_copy = what_if_random_.below(3) == 0;
  if (one_copy) {
    const BlockAddress gone = what_if_random_.below(2) == 0 ? kSuperblockA : kSuperblockB;
    const std::vector<std::byte> zeros(kBlockSize);
    (then.metadata ? then.metadata : then.store)->poke(gone.value * kBlockSize, zeros);
  }
  Model expected = model;
  expected.power_cut();
  const std::string wrong = check_recovered(then, expected, true, !one_copy);
  if (wrong.empty()) return;
  fail(std::string("if the power failed now") + (one_copy ? " and took one superblock" : "") +
       ", the store were wrong: " + wrong);
}

void World::check_place(StoreRun run) {
  if (context.calm || !violation_.empty() || context.damaged || lied_) return;
  if (store->lying() || store->lied() || metadata_disk().lying() || metadata_disk().lied()) return;
  if (what_if_random_.below(deleting_happens_ ? 3 : 24) != 0) return;
  const auto durable = [](const std::shared_ptr<MemoryVolume>& volume) {
    std::shared_ptr<MemoryVolume> copy = volume->clone();
    copy->crash_losing_all();
    return copy;
  };
  const Media now = media();
  const std::string wrong = check_unused(
      {now.origin, durable(now.store), now.metadata ? durable(now.metadata) : nullptr}, run);
  if (!wrong.empty()) fail("the server copies to a place that is still in use: " + wrong);
}

}  // namespace csnap::sim
