// SPDX-License-Identifier: Apache-2.0
#include "client/volume_data.h"

#include <algorithm>

namespace csnap {
namespace {

constexpr std::uint32_t kExceptionsAtOnce = 512;

}  // namespace

Result<DataExtent> VolumeData::next(std::uint64_t offset) const {
  // The origin first: where there is no exception afterwards, nothing has changed in between.
  CSNAP_ASSIGN(const DataExtent origin, volume_.next_origin_data(offset));
  if (volume_.is_origin() || origin.start <= offset) return origin;
  CSNAP_ASSIGN(const DataExtent exception, next_exception(offset, origin.start));
  return exception.start < origin.start ? exception : origin;
}

// The first exception of the snapshot in these bytes; to..to when there is none.
Result<DataExtent> VolumeData::next_exception(std::uint64_t from, std::uint64_t to) const {
  const std::uint64_t chunk_size = volume_.chunk_size();
  std::uint64_t chunk = from / chunk_size;
  for (bool more = true; more && chunk * chunk_size < to;) {
    CSNAP_ASSIGN(const auto page, ask_(chunk, kExceptionsAtOnce));
    for (const auto& line : page.lines) {
      if ((line.mask >> bit_ & 1) == 0 || (line.start + line.count) * chunk_size <= from) continue;
      const std::uint64_t start = std::max(from, line.start * chunk_size);
      if (start >= to) return DataExtent{to, to};
      return DataExtent{start, std::min(to, (line.start + line.count) * chunk_size)};
    }
    chunk = page.next;
    more = page.more;
  }
  return DataExtent{to, to};
}

}  // namespace csnap
