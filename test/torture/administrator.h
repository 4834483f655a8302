// SPDX-License-Identifier: Apache-2.0
// Who makes, renames and deletes the snapshots of a World, and who looks at whole volumes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "test/torture/world.h"

namespace csnap::torture {

// Reads all of it through this csnap-nbd and compares. REQUIRES: nobody writes.
bool verify(World& world, Volume& volume, std::size_t nbd, const char* when);
bool verify_all(World& world, std::size_t nbd, const char* when);

class Administrator {
 public:
  Administrator(World& world, std::uint64_t seed) : world_(world), random_(seed) {}

  // Until world.stop.
  void run();
  // Soon, all of all volumes are compared, one after the other.
  void ask_for_verification() { wanted_ = true; }

  std::uint64_t created = 0, deleted = 0, renamed = 0, verified = 0;

 private:
  void create();
  void remove(const std::shared_ptr<Volume>& snapshot);
  void rename(Volume& snapshot);
  void verify_each();

  World& world_;
  std::mt19937_64 random_;
  std::atomic<bool> wanted_{false};
};

}  // namespace csnap::torture
