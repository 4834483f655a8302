// SPDX-License-Identifier: Apache-2.0
// What copy_volume() reads from and writes to.
// Threading: any number of threads at once; calls block.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/device_identity.h"
#include "store/status.h"

namespace csnap {

class CopyEnd {
 public:
  virtual ~CopyEnd() = default;
  virtual std::uint64_t size() const = 0;  // bytes
  // As it was said when a tree of block files was made, which may end within a sector.
  virtual std::uint64_t exact_size() const { return size(); }
  // Does it read as zeros everywhere?
  virtual bool empty() const { return false; }
  // At multiples of 4096; up to one of these, or the end.
  virtual Status read(std::uint64_t offset, std::span<std::byte> data) = 0;
  virtual Status write(std::uint64_t offset, std::span<const std::byte> data) = 0;
  virtual Status flush() = 0;
};

using Addresses = std::vector<std::string>;

// Is it the name of a volume of the server's?
bool names_volume(const std::string& name);

Result<std::unique_ptr<CopyEnd>> open_source(const std::string& name, const Addresses& addresses);

struct Destination {
  ~Destination();  // takes away what was made, unless it was kept
  Destination() = default;
  Destination(Destination&&) = default;
  Destination& operator=(Destination&&) = delete;

  std::unique_ptr<CopyEnd> end;
  std::string name;  // with all that is to be known of it
  std::string made;  // the name, if it was not there before
};
// Large enough for the source; what is not there is made.
Result<Destination> open_destination(const std::string& name, const Addresses& addresses,
                                     const CopyEnd& source, bool force);

}  // namespace csnap
