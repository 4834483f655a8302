// SPDX-License-Identifier: Apache-2.0
// What if the power failed now? Copies of the disks lose it, and what they hold then is judged as
// after a real crash, by a copy of the model. The history itself goes on as if nothing had been
// looked at, so that one history is crashed at many moments.
#include "test/sim/world.h"

namespace csnap::sim {

void World::what_if(const DiskPort& port, const IoRequest& request, bool starting) {
  if (request.kind == IoKind::read || port.disk().kind() == DiskKind::origin) return;
  // What lies cost is judged when the power really fails.
  if (!violation_.empty() || context.damaged || lied_) return;
  if (store->lying() || store->lied() || metadata_disk().lying() || metadata_disk().lied()) return;
  // Homes and superblocks are written rarely, and a crash among them is the more telling.
  const bool home = request.kind == IoKind::write && Disk::is_metadata(request.data) &&
                    !in_journal(request.offset);
  if (what_if_random_.below(home ? 6 : starting ? 8 : 24) != 0) return;
  const auto after_crash = [&](const std::shared_ptr<MemoryVolume>& volume) {
    std::shared_ptr<MemoryVolume> copy = volume->clone();
    std::mt19937_64 rng(what_if_random_.next());
    copy->crash(rng);
    return copy;
  };
  const Media now = media();
  const Media then{after_crash(now.origin), after_crash(now.store),
                   now.metadata ? after_crash(now.metadata) : nullptr};
  Model expected = model;
  expected.power_cut();
  const std::string wrong = check_recovered(then, expected, true);
  if (!wrong.empty()) fail("if the power failed now, the store were wrong: " + wrong);
}

}  // namespace csnap::sim
