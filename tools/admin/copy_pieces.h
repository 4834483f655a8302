// SPDX-License-Identifier: Apache-2.0
// The parts of a volume that have to be looked at for a copy of it: where the source has data, and
// where the destination has some and the source has none.
// Threading: any number of threads. Errors: those of the ends.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>

#include "tools/admin/copy_end.h"

namespace csnap {

class CopyPieces {
 public:
  static constexpr std::uint64_t kPiece = 1u << 20;  // bytes that are copied at a time
  static constexpr std::uint64_t kHole = 1u << 30;   // that are punched at a time

  struct Piece {
    std::uint64_t offset = 0, length = 0;  // bytes; multiples of 4096, but for the volume's end
    bool zeros = false;                    // all of it, in the source
  };

  CopyPieces(CopyEnd& source, CopyEnd& destination)
      : source_(source), destination_(destination), size_(source.size()) {}

  // By ascending offset; none: that was all.
  Result<std::optional<Piece>> next();
  // Bytes of the volume that lie before the next one.
  std::uint64_t passed() const {
    const std::lock_guard lock(mutex_);
    return at_;
  }

 private:
  Result<std::uint64_t> find(CopyEnd& end, DataExtent& known) const;

  CopyEnd& source_;
  CopyEnd& destination_;
  const std::uint64_t size_;
  mutable std::mutex mutex_;
  std::uint64_t at_ = 0;
  DataExtent wanted_, there_;  // what the ends said last
};

}  // namespace csnap
