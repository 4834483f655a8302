// SPDX-License-Identifier: Apache-2.0
// What a volume may hold where a request failed, or was in flight when its server was killed: in
// each sector of 512 bytes the old bytes or the new ones. The first read that succeeds settles it;
// what it found must stay.
//
// Threading: any thread; the model's bytes belong to whoever may touch them (see world.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <vector>

namespace csnap::torture {

struct Doubt {
  std::uint64_t begin = 0, end = 0;  // bytes of the volume
  bool zeros = false;                // else what fill() makes of the rest
  std::uint32_t sequence = 0;
  std::uint64_t volume = 0;
};

class Doubts {
 public:
  // Those of another, instead of its own.
  void take(const Doubts& other);
  void add(const Doubt& doubt);
  // These bytes are known again.
  void clear(std::uint64_t begin, std::uint64_t end);
  // Makes the model what was read, wherever a doubt allows that.
  void settle(std::span<std::byte> model, std::uint64_t offset, std::span<const std::byte> got);
  std::size_t sectors() const;

 private:
  using Sector = std::vector<Doubt>;  // in the order of the requests; all within the sector
  static void subtract(Sector& sector, std::uint64_t begin, std::uint64_t end);

  mutable std::mutex mutex_;
  std::map<std::uint64_t, Sector> sectors_;  // by number
};

}  // namespace csnap::torture
