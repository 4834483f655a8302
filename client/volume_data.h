// SPDX-License-Identifier: Apache-2.0
// Where a volume of the server's has data: a snapshot where it has exceptions, and where the
// origin's device has data below. Whoever wants all of a sparse volume need not read the rest.
//
// Ownership: the volume outlives it. Threading: any that `ask` allows; calls block. Errors: those
// of the origin's device and of `ask`.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "client/csnap.h"

namespace csnap {

class VolumeData {
 public:
  // The exceptions from this chunk on, a page of them: Admin::dump().
  using Ask =
      std::function<Result<Admin::ExceptionPage>(std::uint64_t from_chunk, std::uint32_t limit)>;

  // bit: of the snapshot. For the origin neither bit nor ask are used.
  VolumeData(Volume& volume, unsigned bit, Ask ask)
      : volume_(volume), bit_(bit), ask_(std::move(ask)) {}

  // As Device::next_data(). What is written to the volume meanwhile may be missing.
  Result<DataExtent> next(std::uint64_t offset) const;

 private:
  Result<DataExtent> next_exception(std::uint64_t from, std::uint64_t to) const;

  Volume& volume_;
  const unsigned bit_;
  const Ask ask_;
};

}  // namespace csnap
