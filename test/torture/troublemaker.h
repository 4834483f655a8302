// SPDX-License-Identifier: Apache-2.0
// What goes wrong in torture_loop: csnapd and the csnap-nbds are killed, alone and together, and
// disks are pulled under them and put back. The World is told for how long requests may fail.
//
// Threading: run() in a thread of its own, which alone starts and ends processes meanwhile.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "test/torture/administrator.h"
#include "test/torture/pulled_disk.h"
#include "test/torture/world.h"

namespace csnap::torture {

class Troublemaker {
 public:
  using Disks = std::vector<std::unique_ptr<PulledDisk>>;

  // disks: empty if none can be pulled here.
  Troublemaker(World& world, Administrator& administrator, Disks& disks, std::uint64_t seed)
      : world_(world), administrator_(administrator), disks_(disks), random_(seed) {}

  // Until world.stop; then all serve.
  void run();
  std::string counts() const;

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool all_alive();
  void make_trouble();
  void restart_server();
  void restart_nbd();
  void restart_everything();
  void pull();
  void endure(PulledDisk::Way way);
  bool serves_on();
  void end_nbds();
  void start_nbds();
  // It must end well; in trouble it may end with an error, but in order and in time.
  void stop_gently(bool in_trouble);
  void judge_end(int status, bool in_trouble);

  World& world_;
  Administrator& administrator_;
  Disks& disks_;
  std::mt19937_64 random_;
  std::atomic<std::uint64_t> kills_{0}, stops_{0}, nbd_kills_{0}, pulls_{0}, gave_up_{0},
      refused_{0}, went_on_{0};
};

}  // namespace csnap::torture
