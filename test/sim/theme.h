// SPDX-License-Identifier: Apache-2.0
// What a history is about. Chance alone meets some situations rarely: a theme prepares one, and
// leaves the rest to chance. It is part of the seed, above what chance is made of, so that a number
// says it all: seeds below 2^40 have no theme.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "test/sim/coverage.h"

namespace csnap::sim {

enum class Theme : std::uint8_t {
  none,
  tight,      // a store that is full, or nearly so; snapshots come and go; readers are slow
  returning,  // the server starts anew and anew; clients come back late
  crowd,      // all read and write the same few chunks, and take their time
  hurried,    // a small journal, much to write, and checkpoints that take long
  aimed,      // one fault strikes while one kind of operation is under way
};

// What an aimed history aims at.
struct Aim {
  Fault fault;
  Op op;
};

inline constexpr unsigned kThemeShift = 40;

Theme theme_of(std::uint64_t seed);
// Of a seed whose theme is `aimed`.
std::optional<Aim> aim_of(std::uint64_t seed);
// The n-th of a row of fresh seeds that begins at `first`: every theme in turn, every aim in turn.
std::uint64_t fresh_seed(std::uint64_t first, std::uint64_t n);
// One that aims there; number makes it differ from others. Nothing for pairs that no theme aims at.
std::optional<std::uint64_t> aimed_seed(Aim aim, std::uint64_t number);

}  // namespace csnap::sim
