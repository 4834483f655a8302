// SPDX-License-Identifier: Apache-2.0
#include "test/sim/theme.h"

#include <algorithm>
#include <iterator>

namespace csnap::sim {
namespace {

// Pairs that chance alone hits rarely: what disks do, and what is done rarely or takes little time.
constexpr Fault kFaults[] = {
    Fault::read_error,  Fault::write_error,      Fault::flush_error,
    Fault::device_dead, Fault::disk_full,        Fault::lying_flush,
    Fault::bit_rot,     Fault::misdirected_read, Fault::misdirected_write,
};
constexpr Op kOps[] = {
    Op::origin_read, Op::flush, Op::open, Op::create,     Op::remove,
    Op::rename,      Op::list,  Op::dump, Op::checkpoint, Op::recovery,
    Op::client_copy, Op::seal,  // new ones last: seeds keep their meaning
};
constexpr std::uint64_t kAims = std::size(kFaults) * std::size(kOps);
constexpr std::uint64_t kFirstAim = static_cast<std::uint64_t>(Theme::aimed);

}  // namespace

Theme theme_of(std::uint64_t seed) {
  const std::uint64_t number = seed >> kThemeShift;
  return number < kFirstAim ? static_cast<Theme>(number) : Theme::aimed;
}

std::optional<Aim> aim_of(std::uint64_t seed) {
  if (theme_of(seed) != Theme::aimed) return std::nullopt;
  const std::uint64_t aim = ((seed >> kThemeShift) - kFirstAim) % kAims;
  return Aim{kFaults[aim % std::size(kFaults)], kOps[aim / std::size(kFaults)]};
}

std::optional<std::uint64_t> aimed_seed(Aim aim, std::uint64_t number) {
  const auto* fault = std::find(std::begin(kFaults), std::end(kFaults), aim.fault);
  const auto* op = std::find(std::begin(kOps), std::end(kOps), aim.op);
  if (fault == std::end(kFaults) || op == std::end(kOps)) return std::nullopt;
  const auto at = static_cast<std::uint64_t>(fault - std::begin(kFaults)) +
                  static_cast<std::uint64_t>(op - std::begin(kOps)) * std::size(kFaults);
  return (number & ((1ULL << kThemeShift) - 1)) | (kFirstAim + at) << kThemeShift;
}

std::uint64_t fresh_seed(std::uint64_t first, std::uint64_t n) {
  // Every second one is aimed.
  constexpr Theme kTurns[] = {Theme::none,  Theme::tight,     Theme::crowd,
                              Theme::tight, Theme::returning, Theme::hurried};
  const std::uint64_t turn = n / 2 % std::size(kTurns), round = n / (2 * std::size(kTurns));
  std::uint64_t number = static_cast<std::uint64_t>(kTurns[turn]);
  // These take long.
  if (kTurns[turn] == Theme::hurried && round % 2 != 0) number = 0;
  if (n % 2 == 0) number = kFirstAim + n / 2 % kAims;
  return ((first + n) & ((1ULL << kThemeShift) - 1)) | number << kThemeShift;
}

}  // namespace csnap::sim
