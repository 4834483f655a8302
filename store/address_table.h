// SPDX-License-Identifier: Apache-2.0
// From a block address to a small number (a slot of the block cache). Open addressing with linear
// probing, at most half full, so that a hit touches one or two neighbouring cache lines.
// Threading: one thread.
#pragma once

#include <bit>
#include <cassert>
#include <cstdint>
#include <vector>

#include "store/types.h"

namespace csnap {

class AddressTable {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  AddressTable() : places_(kInitial) {}

  // kNone when it is not there.
  std::uint32_t find(BlockAddress address) const {
    for (std::size_t i = home(address.value);; i = next(i)) {
      if (places_[i].slot == kNone) return kNone;
      if (places_[i].address == address.value) return places_[i].slot;
    }
  }

  // Asks the processor for what find() will read.
  void prefetch(BlockAddress address) const { __builtin_prefetch(&places_[home(address.value)]); }

  // REQUIRES: not there.
  void insert(BlockAddress address, std::uint32_t slot) {
    assert(slot != kNone);
    if ((used_ + 1) * 2 > places_.size()) grow();
    put({address.value, slot});
    ++used_;
  }

  // REQUIRES: there.
  void erase(BlockAddress address) {
    std::size_t hole = home(address.value);
    while (places_[hole].address != address.value) {
      assert(places_[hole].slot != kNone);
      hole = next(hole);
    }
    // Close the gap: whatever comes after and may not be found across the hole moves into it.
    for (std::size_t i = next(hole); places_[i].slot != kNone; i = next(i)) {
      const std::size_t from_home = distance(home(places_[i].address), i);
      if (from_home < distance(hole, i)) continue;
      places_[hole] = places_[i];
      hole = i;
    }
    places_[hole] = Place();
    --used_;
  }

  std::size_t size() const { return used_; }

 private:
  static constexpr std::size_t kInitial = 256;
  struct Place {
    std::uint64_t address = 0;
    std::uint32_t slot = kNone;
  };

  // The high bits of the product: neighbouring addresses spread over the whole table.
  std::size_t home(std::uint64_t address) const {
    return static_cast<std::size_t>(address * 0x9E3779B97F4A7C15ULL >>
                                    (64 - std::countr_zero(places_.size())));
  }
  std::size_t next(std::size_t i) const { return (i + 1) & (places_.size() - 1); }
  std::size_t distance(std::size_t from, std::size_t to) const {
    return (to - from) & (places_.size() - 1);
  }
  void put(Place place) {
    std::size_t i = home(place.address);
    while (places_[i].slot != kNone) i = next(i);
    places_[i] = place;
  }
  void grow() {
    std::vector<Place> old(places_.size() * 2);
    old.swap(places_);
    for (const Place& place : old)
      if (place.slot != kNone) put(place);
  }

  std::vector<Place> places_;
  std::size_t used_ = 0;
};

}  // namespace csnap
