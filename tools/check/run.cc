// SPDX-License-Identifier: Apache-2.0
#include "tools/check/run.h"

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "store/device_identity.h"
#include "store/open_device.h"
#include "tools/common/progress.h"

namespace csnap {
namespace {

struct Opened {
  DeviceLock lock;
  std::unique_ptr<Device> device;
};

// Locked, so that no server begins to change it meanwhile.
Result<Opened> open_locked(const std::string& path, OpenMode mode) {
  auto lock = lock_device(path);
  if (lock.status().code() == Code::busy)
    return Status(Code::busy, lock.status().message() +
                                  "; a store that a server has open is checked with: csnap-admin "
                                  "check");
  if (!lock.ok()) return lock.status();
  CSNAP_ASSIGN(auto device, open_device(path, mode));
  return Opened{std::move(*lock), std::move(device)};
}

// Each part of a check with a line of its own.
class Parts {
 public:
  explicit Parts(bool shown) : shown_(shown) {}
  void at(const std::string& what, std::uint64_t done, std::uint64_t total) {
    if (what != what_) {
      what_ = what;
      line_.emplace("checking " + what, shown_);
    }
    line_->update(total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total));
  }

 private:
  const bool shown_;
  std::string what_;
  std::optional<Progress> line_;
};

}  // namespace

Result<CheckReport> run_check(const CheckToolOptions& options) {
  CSNAP_ASSIGN(const Opened store, open_locked(options.store, OpenMode::read_only));
  std::unique_ptr<Opened> metadata;
  if (!options.metadata.empty()) {
    CSNAP_ASSIGN(Opened opened, open_locked(options.metadata, OpenMode::read_only));
    metadata = std::make_unique<Opened>(std::move(opened));
  }
  Parts parts(options.progress || is_terminal(STDERR_FILENO));
  CheckOptions check;
  check.data = options.data;
  check.progress = [&](const char* what, std::uint64_t done, std::uint64_t total) {
    parts.at(what, done, total);
  };
  return check_store(*store.device, metadata ? metadata->device.get() : nullptr, check);
}

}  // namespace csnap
