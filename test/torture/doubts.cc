// SPDX-License-Identifier: Apache-2.0
#include "test/torture/doubts.h"

#include <string.h>

#include <algorithm>

#include "test/torture/world.h"

namespace csnap::torture {

namespace {

constexpr std::uint64_t kSector = 512;
// Of more doubts than that about one sector, the newest are looked at.
constexpr std::size_t kMostTogether = 12;

// bytes: [begin, ...) of the volume.
void overlay(std::span<std::byte> bytes, std::uint64_t begin, const Doubt& doubt) {
  const std::uint64_t from = std::max(begin, doubt.begin);
  const std::uint64_t to = std::min(begin + bytes.size(), doubt.end);
  if (from >= to) return;
  const auto part = bytes.subspan(from - begin, to - from);
  if (doubt.zeros)
    memset(part.data(), 0, part.size());
  else
    fill(part, from, doubt.sequence, doubt.volume);
}

// Is `got` the old bytes with some of the doubted requests on them?
bool explained(std::span<const Doubt> doubts, std::span<const std::byte> old, std::uint64_t begin,
               std::span<const std::byte> got) {
  if (doubts.size() > kMostTogether) doubts = doubts.last(kMostTogether);
  std::vector<std::byte> bytes;
  for (std::uint32_t chosen = 0; chosen < std::uint32_t{1} << doubts.size(); ++chosen) {
    bytes.assign(old.begin(), old.end());
    for (std::size_t i = 0; i < doubts.size(); ++i)
      if ((chosen >> i & 1) != 0) overlay(bytes, begin, doubts[i]);
    if (memcmp(bytes.data(), got.data(), got.size()) == 0) return true;
  }
  return false;
}

}  // namespace

void Doubts::take(const Doubts& other) {
  const std::scoped_lock lock(mutex_, other.mutex_);
  sectors_ = other.sectors_;
}

void Doubts::add(const Doubt& doubt) {
  const std::lock_guard lock(mutex_);
  for (std::uint64_t number = doubt.begin / kSector; number * kSector < doubt.end; ++number) {
    Doubt part = doubt;
    part.begin = std::max(doubt.begin, number * kSector);
    part.end = std::min(doubt.end, (number + 1) * kSector);
    sectors_[number].push_back(part);
  }
}

void Doubts::subtract(Sector& sector, std::uint64_t begin, std::uint64_t end) {
  Sector left;
  for (const Doubt& doubt : sector) {
    Doubt before = doubt, after = doubt;
    before.end = std::min(doubt.end, begin);
    after.begin = std::max(doubt.begin, end);
    if (before.begin < before.end) left.push_back(before);
    if (after.begin < after.end) left.push_back(after);
  }
  sector = std::move(left);
}

void Doubts::clear(std::uint64_t begin, std::uint64_t end) {
  const std::lock_guard lock(mutex_);
  auto it = sectors_.lower_bound(begin / kSector);
  while (it != sectors_.end() && it->first * kSector < end) {
    subtract(it->second, begin, end);
    it = it->second.empty() ? sectors_.erase(it) : std::next(it);
  }
}

void Doubts::settle(std::span<std::byte> model, std::uint64_t offset,
                    std::span<const std::byte> got) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t end = offset + got.size();
  auto it = sectors_.lower_bound(offset / kSector);
  while (it != sectors_.end() && it->first * kSector < end) {
    const std::uint64_t from = std::max(offset, it->first * kSector);
    const std::uint64_t to = std::min(end, (it->first + 1) * kSector);
    const auto old = model.subspan(from - offset, to - from);
    const auto now = got.subspan(from - offset, to - from);
    if (explained(it->second, old, from, now)) {
      memcpy(old.data(), now.data(), now.size());
      subtract(it->second, from, to);
    }
    it = it->second.empty() ? sectors_.erase(it) : std::next(it);
  }
}

std::size_t Doubts::sectors() const {
  const std::lock_guard lock(mutex_);
  return sectors_.size();
}

}  // namespace csnap::torture
