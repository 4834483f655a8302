// SPDX-License-Identifier: Apache-2.0
// What copy_volume() reads from and writes to.
// Threading: any number of threads at once; calls block.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/device.h"
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
  // As Device: where there is data, and holes instead of zeros.
  virtual Result<DataExtent> next_data(std::uint64_t offset) = 0;
  virtual bool punches() const { return false; }
  virtual Status punch(std::uint64_t, std::uint64_t) { return {}; }
};

using Addresses = std::vector<std::string>;

// Is it the name of a volume of the server's?
bool names_volume(const std::string& name);

Result<std::unique_ptr<CopyEnd>> open_source(const std::string& name, const Addresses& addresses);

// A file or tree that was made for the copy, and goes again unless the copy is whole.
class MadeDevice {
 public:
  // Errors: those of create_device_file().
  Status make(const std::string& name, std::uint64_t size);
  // Whether there was anything to be taken away, or to be kept. Once; not while another thread is
  // in the midst of it.
  bool remove();
  bool keep();
  bool nothing() const;

 private:
  mutable std::mutex mutex_;
  std::string name_;  // empty: nothing was made, or its fate is settled
};

struct Destination {
  std::unique_ptr<CopyEnd> end;
  std::string name;  // with all that is to be known of it
};
// Large enough for the source; what is not there is made.
Result<Destination> open_destination(const std::string& name, const Addresses& addresses,
                                     const CopyEnd& source, bool force, MadeDevice& made);

}  // namespace csnap
